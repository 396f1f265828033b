# What to know beside the paper's figure of the anchor points alone.
anchor_note = ("Kernel 4, as in the whole of TaT, and the paper's figure for it (its Table 8). Its "
               "'anchor only' of 75.37 is kernel 2.")
