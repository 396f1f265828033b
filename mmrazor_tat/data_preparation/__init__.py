"""Official archives made into the folders that mmseg's configs expect, and checks of those."""
