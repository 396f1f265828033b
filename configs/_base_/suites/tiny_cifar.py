# Drawn images in CIFAR's layout on a CPU: teacher and plain student of suites/tiny_cifar*.py, which
# share a folder (--out). The teacher has the students' widths and more than twice their layers.
seeds = (0, 1, 2)
metric = 'accuracy/top1'
baseline = 'student'
toy_data = dict(layout='cifar', num_train=20000, num_test=1000)
runs = dict(
    teacher=dict(
        config='small/demo_cifar/teacher.py',
        label='ResNet-20, the teacher',
        seeds=(0, ),
        baseline=None),
    student=dict(config='small/demo_cifar/student.py', label='ResNet-8, plain'))
