"""What the first validation, the first checkpoint and the report need is known before training."""

from pathlib import Path

import pytest
from mmengine import Config

IOU = 'val_evaluator.iou_metrics'
UNLABELLED = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]


@pytest.mark.parametrize(
    'settings, metric',
    [
        ({IOU: ['mDice']}, 'mDice'),
        ({IOU: ['mFscore', 'mIoU']}, 'mIoU'),
        ({'val_evaluator': [dict(type='IoUMetric', prefix='a')]}, 'a/mIoU'),
    ],
    ids=['mDice', 'two', 'list'],
)
def test_the_recipe_reads_the_evaluator(pair, call, settings, metric, tmp_path):
    files = pair(**settings)
    hooks = Config.fromfile(files.recipe).default_hooks
    assert hooks.checkpoint.save_best == metric
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'run')
    assert ended.code is None, ended.line
    assert f'the teacher has {metric} ' in ended.printed
    assert f'teacher/{metric}: ' in ended.printed
    best = tmp_path / 'run' / f'best_{metric.replace("/", "_")}_iter_2.pth'
    assert best.is_file()
    page = tmp_path / 'report.html'
    ended = call('report', tmp_path / 'run', '--out', page)
    assert ended.code is None, ended.line
    assert f'last {metric}' in page.read_text()


def test_a_recipe_without_validation(pair, call, tmp_path):
    def drop(cfg):
        for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
            cfg[key] = None
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)

    files = pair(drop)
    hooks = Config.fromfile(files.recipe).default_hooks
    assert 'teacher_check' not in hooks and 'save_best' not in hooks.checkpoint
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'run')
    assert ended.code is None, ended.line
    assert (tmp_path / 'run/iter_2.pth').is_file()
    # A hook of another recipe may be there: it has nothing to try.
    given = 'default_hooks.teacher_check.type=mmrazor.TeacherCheckHook'
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'two', '--cfg-options', given)
    assert ended.code is None and 'has no validation to try the teacher on' in ended.printed


EARLY = dict(type='EarlyStoppingHook', monitor='mIoU')
PLATEAU = dict(type='ReduceOnPlateauLR', monitor='mIoU', rule='greater')
BEST = 'default_hooks.checkpoint.save_best'


def dice(cfg):
    cfg.val_evaluator.iou_metrics = ['mDice']


@pytest.mark.parametrize(
    'settings, words',
    [
        (
            {BEST: 'mIoU'},
            "CheckpointHook: save_best='mIoU', but the validation gives 'aAcc', 'mDice', 'mAcc': "
            'set it to one of these',
        ),
        ({'custom_hooks': [EARLY | dict(strict=True)]}, "EarlyStoppingHook: monitor='mIoU', but"),
        ({'param_scheduler': [PLATEAU]}, "ReduceOnPlateauLR: monitor='mIoU', but the validation"),
        ({IOU: ['mIOU']}, 'val_evaluator (IoUMetric) cannot score: KeyError'),
        (
            {'val_dataloader.dataset.pipeline': UNLABELLED},
            'cannot score what val_dataloader gives: KeyError: gt_sem_seg (its images have no '
            'labels: no LoadAnnotations in the pipeline?)',
        ),
        ({'model.test_cfg.mode': 'slide'}, 'the validation cannot be run: '),
        ({'default_hooks.checkpoint.out_dir': __file__}, 'default_hooks.checkpoint.out_dir'),
    ],
    ids=['best', 'early', 'plateau', 'misspelt', 'unlabelled', 'slide', 'out_dir'],
)
def test_it_is_refused_before_the_first_iteration(make, call, settings, words, tmp_path):
    ended = call('train', make('plain', change=dice, **settings), '--work-dir', tmp_path / 'run')
    assert isinstance(ended.code, str) and words in ended.line
    assert 'Iter(train)' not in ended.printed and 'Traceback' not in ended.printed
    assert not list(Path(tmp_path / 'run').glob('*.pth'))


def test_the_student_s_checkpoint_is_warned_of(make, call, tmp_path):
    """It ends no run, and the other checkpoints go on."""
    best = dict(type='mmrazor.StudentCheckpointHook', interval=1, save_best='mIoU')
    ended = call('train', make('plain', change=dice, custom_hooks=[best]), '--work-dir', tmp_path)
    said = "StudentCheckpointHook: save_best='mIoU', but the validation gives 'aAcc', 'mDice'"
    assert said in ended.printed.split('Iter(train)')[0]


def test_a_hook_that_is_not_strict_is_warned_of(make, call, tmp_path):
    ended = call('train', make('plain', change=dice, custom_hooks=[EARLY]), '--work-dir', tmp_path)
    assert "not strict EarlyStoppingHook: monitor='mIoU', but" in ended.printed
    assert ended.code is None, ended.line


def test_no_checks_leaves_the_checks_out(make, call, tmp_path):
    """Also those of a hook that the config names itself."""
    check = {'default_hooks.recipe_check': dict(type='mmrazor.RecipeCheckHook'), BEST: 'mIou'}
    plain = make('plain', **check, **{'train_dataloader.dataset.metainfo': None})
    arguments = 'train', plain, '--work-dir', tmp_path / 'run'
    assert "save_best='mIou', but the validation gives" in call(*arguments).line
    with pytest.raises(KeyError, match='mIou'):  # as mmengine ends, with its traceback
        call(*arguments, '--no-checks')
    assert list((tmp_path / 'run').glob('iter_2.pth'))


def test_auto_takes_the_first_metric(make, call, tmp_path):
    plain = make('plain', change=dice, **{BEST: 'auto'})
    ended = call('train', plain, '--work-dir', tmp_path / 'run')
    assert ended.code is None and (tmp_path / 'run/best_aAcc_iter_2.pth').is_file()


def test_metrics_that_hooks_add_are_known(pair, call, tmp_path):
    """The user's own choice stays."""
    files = pair(**{BEST: 'student/mIoU'})
    ended = call('train', files.recipe, '--work-dir', tmp_path / 'run')
    assert ended.code is None, ended.line
    assert (tmp_path / 'run/best_student_mIoU_iter_2.pth').is_file()


def test_a_hook_of_one_s_own_may_add_metrics(make, call, tmp_path, monkeypatch):
    (tmp_path / 'my_hooks.py').write_text(
        'from mmengine.hooks import Hook\n'
        'from mmengine.registry import HOOKS\n\n'
        '@HOOKS.register_module(force=True)\n'
        'class AddsScore(Hook):\n'
        "    priority = 'HIGHEST'\n"
        '    def after_val_epoch(self, runner, metrics=None):\n'
        "        metrics['score'] = 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plain = make(
        'plain',
        custom_imports=dict(imports=['my_hooks'], allow_failed_imports=False),
        custom_hooks=[dict(type='AddsScore')],
        **{BEST: 'score', 'default_hooks.checkpoint.rule': 'greater'},
    )
    ended = call('train', plain, '--work-dir', tmp_path / 'run')
    assert ended.code is None, ended.line
    assert 'AddsScore may add to them' in ended.printed
    assert (tmp_path / 'run/best_score_iter_2.pth').is_file()


def test_a_result_that_was_dumped_before_stays(make, call, tmp_path):
    """What is tried before the training writes nothing."""
    kept = tmp_path / 'kept.pkl'
    kept.write_bytes(b'of another run')
    metrics = [
        dict(type='IoUMetric', iou_metrics=['mIoU']),
        dict(type='DumpResults', out_file_path=str(kept)),
    ]
    plain = make('plain', val_evaluator=metrics, **{'train_cfg.val_begin': 10})
    ended = call('train', plain, '--work-dir', tmp_path / 'run')
    assert ended.code is None and kept.read_bytes() == b'of another run', ended.line


def test_what_mmengine_takes_is_taken(make, call, tmp_path):
    """Whole numbers as floats, and data that say nothing of their classes."""

    def change(cfg):
        cfg.train_cfg.update(max_iters=2e0, val_interval=2.0)
        cfg.default_hooks.checkpoint.interval = 2.0

    ended = call('train', make('plain', change=change), '--work-dir', tmp_path / 'run')
    assert ended.code is None and (tmp_path / 'run/iter_2.pth').is_file(), ended.line
