# The rows of a table of classification: prefix of a recipe's name, its folder and its label; notes.
methods = {
    'kd': ('kd', 'KD'),
    'fitnet': ('fitnet', 'FitNet'),
    'at': ('at', 'AT'),
    'sp': ('sp', 'SP'),
    'cc': ('cc', 'CC'),
    'rkd': ('rkd', 'RKD'),
    'pkt': ('pkt', 'PKT'),
    'fsp': ('fsp', 'FSP'),
    'nst': ('nst', 'NST'),
    'crd': ('crd', 'CRD'),
    'ickd': ('ickd', 'ICKD'),
    'afd': ('afd', 'SAD'),
    'review-kd': ('review_kd', 'KR'),
    'sckd': ('sckd', 'SCKD'),
    'tat': ('tat', 'TaT'),
    'tat-kl': ('tat', 'TaT with KL'),
}
# TaT as its authors released it and as the paper's text has it, where there are such recipes.
families = {
    'tat-released': "TaT, the authors' code",
    'tat-released-kl': "TaT with KL, the authors' code",
    'tat-paper': "TaT, the paper's W^i",
}
notes = {
    'cc': "The paper's correlation congruence. The usual code compares something else under this "
          'name; its weight, taken here, leaves the loss nearly without effect '
          '(configs/cc/README.md).',
    'fsp': 'Beside the labels in the first 30 of the epochs; the usual code has 30 of its own '
           'before (configs/fsp/README.md).',
    'sckd': 'Our reading: there is no public code (configs/sckd/README.md).',
    'afd': "Over the stages; the authors' code takes every block (configs/afd/README.md).",
    'review-kd': "Weight 1 for every pair; the authors' differ by pair "
                 '(configs/review_kd/README.md).',
}
