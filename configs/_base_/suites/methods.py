# The rows of a table: prefix of a recipe's name, its folder and its label.
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
}
