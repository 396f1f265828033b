"""What looks odd and is right passes the checks."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine import Config
from mmengine.dataset import Compose

from mmrazor_tat.engine.runner.checked_pipeline import BadSampleError, CheckedPipeline
from mmrazor_tat.engine.runner.checkpoint_fit import pretrained_files
from mmrazor_tat.engine.runner.dataset_guard import guard_dataset
from mmrazor_tat.engine.runner.label_ids import ignored_ids


def load(ids):
    """A transform that loads a label of these ids, as mmseg's would."""

    def transform(self, data):
        return dict(img=np.zeros((1, len(ids), 3)), gt_seg_map=np.array([ids]))

    module = 'mmseg.datasets.transforms'
    return type('LoadAnnotations', (), dict(__call__=transform, __module__=module))()


class MapsIds:
    """Of the user's own: the ids in the files are not those of the training."""

    def __call__(self, data):
        data['gt_seg_map'] = data['gt_seg_map'] % 7
        return data


def pipeline(*transforms) -> Compose:
    made = Compose([])
    made.transforms = list(transforms)
    return made


def test_ids_that_a_transform_of_one_s_own_maps():
    with pytest.raises(BadSampleError, match='has the ids 40'):
        CheckedPipeline(pipeline(load([1, 40])), 7)(dict(seg_map_path='a.png'))
    found = CheckedPipeline(pipeline(load([1, 40]), MapsIds()), 7)({})
    assert found['gt_seg_map'].tolist() == [[1, 5]]


def test_ids_that_the_losses_ignore():
    model = Config(dict(model=dict(decode_head=dict(ignore_index=250, loss=dict(a=1))))).model
    assert ignored_ids(model) == {250}
    CheckedPipeline(pipeline(load([1, 250, 255])), 7, (250, 255))({})
    with pytest.raises(
        BadSampleError, match='ids from 0 to 6, and 250, 255 for pixels that are ig'
    ):
        CheckedPipeline(pipeline(load([1, 251])), 7, (250, 255))(dict(seg_map_path='a.png'))


class Images:
    """A data set of one image, whose label is not there."""

    metainfo = dict(classes=('a',))
    backend_args = None

    def __init__(self, image, *transforms, backend_args=None):
        self.image, self.pipeline = str(image), pipeline(*transforms)
        self.backend_args = backend_args

    def __len__(self):
        return 1

    def get_data_info(self, index):
        return dict(img_path=self.image, seg_map_path=self.image + '.gone.png')


def test_a_test_without_labels_and_other_storage(tmp_path):
    image = tmp_path / 'a.jpg'
    image.write_bytes(b'1')
    guard_dataset(Images(image, MapsIds()))
    with pytest.raises(ValueError, match='the pipeline of the Images is empty'):
        guard_dataset(Images(image))
    with pytest.raises(FileNotFoundError, match='gone.png'):
        guard_dataset(Images(image, load([1])))
    guard_dataset(Images('bucket/a.jpg', load([1]), backend_args=dict(backend='petrel')))


@pytest.mark.parametrize('pretrained', [False, True])
def test_pretrained_of_timm_s_networks(pretrained):
    assert pretrained_files(dict(backbone=dict(pretrained=pretrained))) == []


def test_a_sampler_of_batches_of_one_s_own():
    from mmrazor_tat.engine.hooks import recipe_check_hook

    settings = dict(auto_scale_lr=dict(base_batch_size=16), train_dataloader=dict(batch_size=4))
    settings['optim_wrapper'] = dict(optimizer=dict(lr=0.01))
    runner = SimpleNamespace(
        cfg=Config(settings), train_dataloader=SimpleNamespace(batch_sampler=object(), sampler=None)
    )
    said, runner.optim_wrapper = [], None
    runner.logger = SimpleNamespace(warning=said.append)
    recipe_check_hook._check_batch(runner)
    assert said == []
    runner.train_dataloader.batch_sampler = SimpleNamespace(batch_size=4)
    recipe_check_hook._check_batch(runner)
    assert len(said) == 1 and 'a batch of 4' in said[0]
