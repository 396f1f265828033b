"""Batches that are too small, and what the logs say."""

from collections.abc import Iterator

import pandas as pd

from ..models.distillers.records import name_for_log
from ..utils.metrics import main_metric
from ..visualization.curves import Run, series
from .scores import NotCheckedError
from .subject import Finding, Subject


def check_batch_norms(subject: Subject) -> Iterator[Finding]:
    """Does every batch norm see enough values for its statistics?"""
    if not subject.values_per_channel:
        raise NotCheckedError('a batch norm that learns')
    counts = dict(subject.values_per_channel)
    of_student = [x for x in counts if not x.startswith(('connectors.', 'distill_losses.'))]
    is_synced = 'SyncBN' in str(subject.cfg.model.architecture)  # run here as one process
    if is_synced and of_student and min(map(counts.get, of_student)) < 4:
        whole = (subject.cfg.get('auto_scale_lr') or {}).get('base_batch_size')
        if whole is None:
            raise NotCheckedError('auto_scale_lr, which tells on how many GPUs SyncBN is to run')
        processes = max(1, whole // subject.cfg.train_dataloader.get('batch_size', 1))
        counts |= {name: processes * counts[name] for name in of_student}
    name, least = min(counts.items(), key=lambda item: item[1])
    subject.measured['least values of a batch norm'] = {name: least}
    if least < 4:
        yield Finding(
            'a batch norm takes its statistics from hardly any values',
            f'{name}: {least} for each channel, with {len(subject.images[0])} images a batch',
            'at least 4, better 16',
            '--cfg-options train_dataloader.batch_size=8; or SyncBN over several GPUs, or, where '
            'weights are pretrained, model.architecture.backbone.norm_eval=True',
        )


def check_step(subject: Subject) -> Iterator[Finding]:
    """Does a training step run, and do the losses not rise?"""
    if subject.failure:
        yield Finding(
            'a training step ends with an error',
            subject.failure,
            'losses',
            'mend this first: the other questions about the training are open until then'
            + '; --cfg-options train_dataloader.batch_size=2' * ('1 value' in subject.failure),
        )
    log = subject.run.training if subject.run else pd.DataFrame()
    losses = _losses(log)
    if len(losses) > 1:
        first, last = losses.iloc[0], _end(losses)
        subject.measured['loss'] = {'first': first, 'at the end': last}
        if not last <= 1.5 * first:  # NaN too
            yield Finding(
                'the training diverges',
                f'the loss is {first:.3g} at first and {last:.3g} at the end',
                'a loss that falls',
                'a smaller learning rate (optim_wrapper.optimizer.lr), a warm-up of it, clipping '
                '(optim_wrapper.clip_grad)',
                {'first': first, 'at the end': last},
            )


def check_gain(subject: Subject) -> Iterator[Finding]:
    """Has the distillation helped at all?"""
    if subject.plain is None or not subject.checkpoint:
        raise NotCheckedError('a trained student and --plain, the work dir of the plain one')
    where, error, metric = 'at their best, by the logs', 0.0, subject.metric
    runs = {'distilled student': subject.run, 'plain student': subject.plain_run}
    tables = [run.validation for run in runs.values() if run]
    logged = [series(table, main_metric(table)) for table in tables]
    if len(logged) == 2 and all(map(len, logged)) and logged[0].name == logged[1].name:
        scores, metric = dict(zip(runs, (of.max() for of in logged))), logged[0].name
        scores = {k: v if max(scores.values()) > 1 else 100 * v for k, v in scores.items()}
    else:
        networks = subject.model, subject.plain
        tables = (subject.tables(network.val_step) for network in networks)
        scores, error = subject.compared(dict(zip(runs, tables)))
        where = f'on {subject.num_images} images'
    subject.measured['gain'] = {**scores, 'error of the difference': error}
    gain = scores['distilled student'] - scores['plain student']
    if gain < 0.5 <= gain + 2 * error:
        raise NotCheckedError(f'a clearer gain, {gain:.1f} ± {error:.1f} so far (--num-images)')
    if gain < 0.5:
        yield Finding(
            'the distilled student is no better than the plain one',
            ', '.join(f'{k} {metric} {v:.1f}' for k, v in scores.items()) + f' {where}',
            'a gain, in more than one seed',
            'mend what stands above; if that is nothing: another share of the loss '
            '(GradientBalanceHook, or loss_weight), more iterations, another method',
            scores,
        )


def check_curve(subject: Subject) -> Iterator[Finding]:
    """Was it too short, did it overfit, were the labels drowned?"""
    run = _run(subject)
    name = main_metric(run.validation)
    values = series(run.validation, name)
    if len(values) < 2:
        raise NotCheckedError('a log of at least two validations')
    last, best = values.iloc[-1], values.max()
    subject.measured['curve'] = {'last': last, 'best': best}
    per_cent = 100 if best > 1 else 1  # a metric from 0 to 100, or to 1
    if best - last > max(0.02 * per_cent, 0.07 * best):
        yield Finding(
            'the student was better before the end: it overfits, or the learning rate is too high',
            f'{name} {best:.1f} at iteration {values.idxmax():,}, {last:.1f} at the end',
            'the last validation to be about the best',
            'stop there (save_best keeps it), more augmentation, or a decaying learning rate',
            {'best': best, 'last': last},
        )
    earlier = values[values.index <= 0.75 * values.index[-1]]
    if len(values) > 3 and len(earlier) and last - earlier.max() > 0.1 * last:
        yield Finding(
            'the training ends while the student still learns',
            f'{name} rises from {earlier.max():.1f} to {last:.1f} in the last quarter',
            'a curve that is flat at its end',
            'more iterations (train_cfg.max_iters, and end of param_scheduler)',
            {'at three quarters': earlier.max(), 'last': last},
        )


def check_labels_loss(subject: Subject) -> Iterator[Finding]:
    """Does the distilled student fit the labels as well as the plain one does?"""
    run, plain = _run(subject), subject.plain_run
    if plain is None:
        raise NotCheckedError('--plain, the work dir of the plain student')
    names = [name for name in plain.training if name.split('.')[-1].startswith('loss_')]
    names = [name for name in names if f'student.{name}' in run.training]
    if not names:
        raise NotCheckedError("the plain student's losses in both logs")
    of_labels = {
        'plain': sum(_end(series(plain.training, name)) for name in names),
        'distilled': sum(_end(series(run.training, f'student.{name}')) for name in names),
    }
    subject.measured["labels' loss at the end"] = of_labels
    if not of_labels['distilled'] <= 1.3 * of_labels['plain']:  # NaN too
        yield Finding(
            'the labels were drowned: the distilled student fits them worse than the plain one',
            ', '.join(f'{k} {v:.3f}' for k, v in of_labels.items()) + ' at the end',
            'about the same',
            'lower the loss_weight of the distillation losses, or use GradientBalanceHook',
            of_labels,
        )


def _losses(log: pd.DataFrame) -> pd.Series:
    """The sum of all losses, those of the distillation without the factors that hooks give them."""
    total, of_labels = series(log, 'loss'), [name for name in log if name.startswith('student.')]
    if not of_labels:
        return total
    total = 0 * total + sum(series(log, x) for x in of_labels if 'loss' in x.split('.')[-1])
    for name in (name for name in log if name.startswith('distill.')):
        own = series(log, name)
        for hook in ('factor', 'balance'):
            factors = series(log, f'{hook}/{name_for_log(name.split(".")[-1])}')
            own = own / factors.reindex(own.index).fillna(1.0)
        total += own.where(series(log, name) != 0, 0.0)
    return total


def _run(subject: Subject) -> Run:
    if subject.run is None:
        raise NotCheckedError('the work dir of a run')
    return subject.run


def _end(values: pd.Series) -> float:
    return values[values.index > 0.9 * values.index[-1]].mean(skipna=False)
