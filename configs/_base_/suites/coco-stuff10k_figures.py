# The paper's mIoU on COCO-Stuff10k, by run.
figures = {
    'teacher': 33.10,
    'r18': 26.33, 'r18-review-kd': 26.73, 'r18-tat': 28.75,
    'mobilenet-v2': 26.29, 'mobilenet-v2-review-kd': 26.63, 'mobilenet-v2-tat': 28.05,
}
