"""The views of the hierarchical loss, and its parts as the lean operator takes them."""

from collections.abc import Sequence
from typing import Optional

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ... import ops
from .base import check_weight
from .tat_loss import AnchorPointTaTLoss, PatchGroupTaTLoss, TaTLoss


def lean_view(view: TaTLoss) -> ops.View:
    if isinstance(view, PatchGroupTaTLoss):
        return ops.PatchGroupView(view.grid, view.groups, view.loss_weight, view.scale)
    return ops.AnchorPointView(getattr(view, 'kernel', 1), view.loss_weight, view.scale)


def lean_projection(module: nn.Module) -> Optional[ops.Projection]:
    """A projection as :mod:`mmrazor_tat.ops` takes it, or None where it cannot."""
    if isinstance(module, nn.Identity):
        return ops.Projection()
    if module.kernel_size != 1:
        return None
    weight, norm = module.conv.weight.flatten(1), module.norm  # (E, C)
    if isinstance(norm, nn.Identity):
        return ops.Projection(weight)
    if not _is_simple(norm):
        return None
    affine = dict(gain=norm.weight, bias=norm.bias, eps=norm.eps)
    if isinstance(norm, nn.InstanceNorm2d):
        return ops.Projection(weight, 'image', **affine)
    if norm.training or not norm.track_running_stats:
        return ops.Projection(weight, 'batch', **affine)
    return ops.Projection(weight, 'fixed', mean=norm.running_mean, var=norm.running_var, **affine)


def _is_simple(norm: nn.Module) -> bool:
    """Instance norm of the image at hand, or batch norm within a process."""
    if isinstance(norm, nn.InstanceNorm2d):
        return not norm.track_running_stats
    return isinstance(norm, _BatchNorm) and not isinstance(norm, nn.SyncBatchNorm)


_VIEWS = dict(patch=PatchGroupTaTLoss, anchor=AnchorPointTaTLoss, whole=TaTLoss)


def build_views(views: Sequence[dict], loss_weight: float, **options) -> dict[str, TaTLoss]:
    """The composed losses by name: they check the settings, and they are the reference."""
    if isinstance(views, (str, dict)) or not views:
        raise ValueError(f'views must be a list of at least one dict, got {views!r}')
    built: dict[str, TaTLoss] = {}
    for k, view in enumerate(views):
        if not isinstance(view, dict) or view.get('type') not in _VIEWS:
            raise ValueError(
                f'views[{k}] must be a dict with a type of {tuple(_VIEWS)}, got {view}'
            )
        view = dict(view)
        view.pop('_scope_', None)  # mmengine puts it on every dict with a type
        kind = view.pop('type')
        weight = view.pop('weight', 1.0)
        name = view.pop('name', kind)
        if name in built:
            raise ValueError(f"views[{k}] is the second one named {name!r}: give it a 'name'")
        if not isinstance(name, str) or not name.isidentifier() or 'loss' in name:
            raise ValueError(
                f"views[{k}].name must be a word without 'loss' (mmengine would add such an entry "
                f'of the log to the total), got {name!r}'
            )
        if hasattr(nn.ModuleDict, name) or name in ('training', 'views'):
            raise ValueError(f'views[{k}].name {name!r} is taken by torch: choose another')
        check_weight(f'views[{k}].weight', weight)
        try:
            built[name] = _VIEWS[kind](loss_weight=loss_weight * weight, **{**options, **view})
        except TypeError as error:
            raise ValueError(f'views[{k}] of type {kind!r}: {error}') from error
    return built
