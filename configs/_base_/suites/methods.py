# The rows of a table: prefix of a recipe's name, its folder and its label. And what to know where
# a row stands beside the paper's figure.
methods = {
    'kd': ('kd', 'KD'),
    'at': ('at', 'AT'),
    'fitnet': ('fitnet', 'FitNet'),
    'ofd': ('ofd', 'Overhaul'),
    'ickd': ('ickd', 'ICKD'),
    'review-kd': ('review_kd', 'KR'),
    'cwd': ('cwd', 'CWD'),
    'tat': ('tat', 'TaT'),
    'tat-patch': ('tat', 'TaT, patch groups only'),
    'tat-anchor': ('tat', 'TaT, anchor points only'),
    'tat-whole': ('tat', 'TaT, whole map'),
    'tat-cwd': ('tat', 'TaT + CWD'),
    'tat-kd': ('tat', 'TaT + KD'),
}
# TaT as its authors released it and as the paper's text has it, where there are such recipes.
families = {
    'tat-released': ('tat', "TaT, the authors' code"),
    'tat-paper': ('tat', "TaT, the paper's W^i"),
}
_weight = ("The loss weight is 1 here. The code of TaT's authors divides this loss and the cross "
           "entropy by the batch size, but not TaT's: against the labels this method weighs 0.1 "
           'there, TaT 1.6 (configs/{}/README.md, configs/students/deeplabv3plus.md).')
notes = {
    'kd': "Hinton's KD, at every pixel. What TaT's authors released under the name KD is a softmax "
          "over the columns of the feature map, not that. The weight is 10, of Liu et al.'s paper; "
          'their code amounts to 80 (configs/kd/README.md).',
    'at': "The loss weight is 1000 here, in the code of TaT's authors about 26,600 against the "
          'labels (configs/at/README.md).',
    'ofd': "Overhaul's authors divide the cross entropy by their batch size, 12: against the "
           'labels it weighs 12 times as much there. They train the connectors alone in the first '
           'epoch (configs/ofd/README.md).',
    'ickd': "The loss weight is 2.5 here, in the code of TaT's authors 0.2 against the labels "
            '(configs/ickd/README.md).',
    'fitnet': _weight.format('fitnet'),
    'review-kd': _weight.format('review_kd'),
    'tat': "The softmax's scale and ten times the weight are ours. What the authors released is "
           'tat-released (configs/tat/README.md).',
}
del _weight
