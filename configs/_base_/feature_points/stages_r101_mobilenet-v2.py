# A MobileNetV2's blocks end without a ReLU. As in Overhaul's code: the wide map before the first
# ReLU6 of the block that leaves a resolution, and the last block's result.
_base_ = './stages_r101_r18.py'
stages = dict(
    student_recorders=dict(
        stage1=dict(source='backbone.layer3.0.conv.0.activate'),
        stage2=dict(source='backbone.layer4.0.conv.0.activate'),
        stage3=dict(source='backbone.layer6.0.conv.0.activate'),
        stage4=dict(type='ModuleOutputs', source='backbone.layer7')))
