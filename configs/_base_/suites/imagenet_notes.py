# What to know of the rivals on ImageNet, beside the notes of classification_methods.py.
imagenet_notes = {
    'ickd': "The weight of the config that TaT's authors released, where KL is beside it "
            '(configs/ickd/README.md).',
    'cc': "The paper's correlation congruence, with a weight that leaves it nearly without effect; "
          "torchdistill's sample for this kernel has another norm (configs/cc/README.md).",
    'rkd': "The weights of torchdistill's sample, which compares the unpooled map and has no KL; "
           "they are not TaT's authors' (configs/rkd/README.md).",
    'review-kd': "Both networks are read before the ReLU, as the authors' code is written; when it "
                 'runs, a ReLU in place overwrites these maps (configs/review_kd/README.md).',
}
