"""Evaluate a checkpoint: of a plain model, or the student of a distillation checkpoint."""

import argparse

from mmengine import Config
from mmengine.runner import Runner

from mmrazor_tat.engine.runner.errors import run_errors
from mmrazor_tat.engine.runner.evaluation import has_labels
from mmrazor_tat.engine.runner.guarded_runner import GuardedRunner
from mmrazor_tat.utils.command_line import add_common_arguments, load_config, one_line_errors
from mmrazor_tat.utils.config_settings import type_name
from mmrazor_tat.utils.configs import is_classifier


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='DIR', help='write the predicted label maps there')
    parser.add_argument('--show-dir', metavar='DIR', help='paint the predictions there')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_common_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with run_errors('test', args.trust_checkpoints):
        with one_line_errors('test'):
            cfg = config_of(args)
        (Runner if args.no_checks else GuardedRunner).from_cfg(cfg).test()


def config_of(args: argparse.Namespace) -> Config:
    cfg = load_config(args)
    cfg.load_from = args.checkpoint
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='mmrazor.StudentWeightsHook')]
    if 'teacher_ckpt' in (cfg.get('model') or {}):
        cfg.model.teacher_ckpt = None  # nothing of it is needed
    if args.tta:
        use_tta(cfg, args.config)
    if not is_classifier(cfg):
        set_evaluator(cfg, args)
    elif args.out is not None:
        raise SystemExit(f'--out: label maps are of segmentation, {args.config} is a classifier')
    if args.show_dir is not None:
        # Every image: mmseg's hook would keep one in fifty.
        cfg.setdefault('default_hooks', {})
        if is_classifier(cfg):
            look = dict(enable=True, interval=1, resize=224)  # else the text hides a small image
            cfg.default_hooks.visualization.update(out_dir=args.show_dir, **look)
        else:
            cfg.default_hooks.setdefault('visualization', dict(type='SegVisualizationHook'))
            cfg.default_hooks.visualization.update(draw=True, interval=1)
            cfg.setdefault('visualizer', dict(type='SegLocalVisualizer'))
            cfg.visualizer.setdefault('vis_backends', [dict(type='LocalVisBackend')])
            cfg.visualizer.save_dir = args.show_dir
    return cfg


def use_tta(cfg: Config, name: str) -> None:
    """Test-time augmentation; where the images have no labels none are loaded."""
    if 'tta_pipeline' not in cfg or 'tta_model' not in cfg:
        raise SystemExit(f'--tta: {name} has no tta_model and tta_pipeline')
    is_unlabelled = has_labels(cfg) is False
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(**cfg.tta_model, module=cfg.model)
    if is_unlabelled and has_labels(cfg) is None:
        for transform in cfg.tta_pipeline:
            if groups := transform.get('transforms'):
                kinds = [[type_name(of['type']) for of in group] for group in groups]
                loads = [any(k.endswith('LoadAnnotations') for k in of) for of in kinds]
                transform.transforms = [of for of, does in zip(groups, loads) if not does]


def set_evaluator(cfg: Config, args: argparse.Namespace) -> None:
    """Write label maps if asked for, and leave the scoring out where there are no labels."""
    given = cfg.get('test_evaluator') or []
    metrics = list(given) if isinstance(given, (list, tuple)) else [given]
    kinds = [type_name(metric.get('type')) for metric in metrics]
    scoring = [m for m, k in zip(metrics, kinds) if k == 'IoUMetric' and not m.get('format_only')]
    if scoring and has_labels(cfg) is False:
        if args.out is None and args.show_dir is None and len(scoring) == len(metrics):
            raise SystemExit(
                'test: the test images have no labels (the pipeline of test_dataloader loads '
                'none), so there is nothing to score: --out DIR writes the predicted label maps, '
                '--show-dir DIR paints them'
            )
        print('test: the test images have no labels: nothing is scored')
        metrics = [metric for metric in metrics if metric not in scoring]
    if args.out is not None:
        kinds = [type_name(metric.get('type')) for metric in metrics]
        if 'IoUMetric' not in kinds:
            metrics.append(dict(type='mmseg.IoUMetric', format_only=True))
            kinds.append('IoUMetric')
        metrics[kinds.index('IoUMetric')].update(output_dir=args.out, keep_results=True)
    cfg.test_evaluator = metrics[0] if len(metrics) == 1 else metrics


if __name__ == '__main__':
    main()
