"""What the losses can be lowered by: the projections are fitted alone."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .scores import NotCheckedError
from .subject import Finding, Maps, Subject

_STEPS = 80  # in which the projections are fitted
_LEARNS, _AS_FAR = 0.05, 0.6  # what another image may lower: of the loss, of the right one's
_FOLLOWS = 0.15  # by how much a trained student's map has to lower the loss


def check_shortcut(subject: Subject) -> Iterator[Finding]:
    """Can a loss be lowered by looking at the image, and only so?

    The projections alone are fitted to three kinds of pairs: the true ones; the teacher's map with
    the student's of another image; and with a constant one. Who gets below the last with the wrong
    image has not looked at it.
    """
    if len(subject.maps) < 2 or len(subject.images[0]) < 2:
        raise NotCheckedError('at least 2 training batches of at least 2 images')
    looked = False
    kinds: dict[str, Callable[[Tensor], Tensor]] = {
        'true pairs': lambda x: x,
        'images exchanged': lambda x: x.roll(1, 0),
        'no image': lambda x: (
            x.mean([0, *range(2, x.dim())], keepdim=True).expand_as(x).contiguous()
        ),
    }
    for name in subject.names:
        if not _trained_parts(subject, name) or not _reads_maps(subject, name):
            continue
        looked = True
        left = {kind: _fit(subject, name, change) for kind, change in kinds.items()}
        if not min(left.values()) > 0:  # switched off, or no distance
            continue
        gain = {kind: 1 - value / left['no image'] for kind, value in left.items()}
        del gain['no image']
        subject.measured.setdefault('what projections learn', {})[name] = gain
        true, wrong = gain.values()
        if subject.checkpoint and true < _FOLLOWS:
            yield Finding(
                f'the student has hardly learnt what {name} asks for',
                f'with its maps the loss is {true:.0%} lower than with a constant, on images of '
                'the training',
                f'at least {_FOLLOWS:.0%}, as without that the teacher has not been heard',
                'a larger share of the gradient (target of GradientBalanceHook), more iterations, '
                'weights to start from, or a method on the logits (KD, CWD), which asks for less',
                {kind: 100 * value for kind, value in gain.items()},
            )
        if wrong > _LEARNS and wrong > _AS_FAR * true:
            yield Finding(
                f'{name} can be lowered without looking at the image',
                f'its projections alone lower it by {true:.0%} with the right image and by '
                f'{wrong:.0%} with another one',
                'next to nothing with another image',
                _shortcut_remedy(subject, name),
                {kind: 100 * value for kind, value in gain.items()},
            )
    if not looked:
        raise NotCheckedError('a loss with projections that are trained')


def _shortcut_remedy(subject: Subject, name: str) -> str:
    loss = subject.distiller.distill_losses[name]
    if getattr(loss, 'softmax_over', None) == 'student':
        key = f'model.distiller.distill_losses.{name}.softmax_over'
        return f'where the maps have one size: --cfg-options {key}=teacher'
    return 'another method: what this one asks for depends on the image too little here'


def _reads_maps(subject: Subject, name: str) -> bool:
    first = subject.maps[0]
    keys = subject.keys(name)
    return all(key in first and first[key].is_floating_point() for key in keys)


def _trained_parts(subject: Subject, name: str) -> list:
    distiller = subject.distiller
    records = distiller.loss_forward_mappings[name].values()
    connectors = [record['connector'] for record in records if record.get('connector')]
    parts = [distiller.distill_losses[name], *(distiller.connectors[of] for of in connectors)]
    return [part for part in parts if any(p.requires_grad for p in part.parameters())]


def _fit(subject: Subject, name: str, change: Callable[[Tensor], Tensor]) -> float:
    """The loss on the last batch after its projections were fitted to the others."""
    parts = _trained_parts(subject, name)
    before = [{k: v.clone() for k, v in part.state_dict().items()} for part in parts]
    weights = [p for part in parts for p in part.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=3e-3)
    *training, last = (
        {key: change(x) if key[1] and x.is_floating_point() else x for key, x in maps.items()}
        for maps in subject.maps
    )

    def loss(maps: Maps) -> Tensor:
        with subject.replayed(maps):
            return subject.distiller.compute_loss(name)

    for step in range(_STEPS):
        optimizer.zero_grad()
        loss(training[step % len(training)]).backward()
        optimizer.step()
    with torch.no_grad():
        value = loss(last).item()
    for part, state in zip(parts, before):
        part.load_state_dict(state)
    return value
