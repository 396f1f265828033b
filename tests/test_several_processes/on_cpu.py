"""Run scripts in one of several processes without a GPU.

``python on_cpu.py SCRIPT ARGUMENT... [--then SCRIPT ARGUMENT...]``

mmengine's launchers are made for GPUs: they set the CUDA device, and torch's SyncBatchNorm refuses
the CPU. Both are replaced here, for tests alone. Configs need ``OPTIONS`` as well.
"""

import logging
import os
import runpy
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.nn as differentiable
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

# As --cfg-options: mmengine would name the GPU of the process.
OPTIONS = [
    'env_cfg.dist_cfg.backend=gloo',
    'env_cfg.dist_cfg.timeout=120',
    'model_wrapper_cfg.type=MMDistributedDataParallel',
    'model_wrapper_cfg.device_ids=None',
    'model_wrapper_cfg.broadcast_buffers=False',
]


def synchronised_batch_norm(norm: torch.nn.SyncBatchNorm, x: torch.Tensor) -> torch.Tensor:
    """SyncBatchNorm by its equation; all processes have batches of one size."""
    if not (norm.training and dist.is_initialized()):
        return _BatchNorm.forward(norm, x)
    axes = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    # Of one sum each: the squares would cost digits.
    mean = differentiable.all_reduce(x.mean(axes)) / dist.get_world_size()
    centred = x - mean.view(shape)
    var = differentiable.all_reduce(centred.square().mean(axes)) / dist.get_world_size()
    with torch.no_grad():
        count = dist.get_world_size() * x[:, 0].numel()
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(var * count / (count - 1), norm.momentum)
    x = centred * (var + norm.eps).rsqrt().view(shape)
    return x * norm.weight.view(shape) + norm.bias.view(shape)


def install() -> None:
    torch.cuda.set_device = lambda device: None
    torch.nn.SyncBatchNorm.forward = synchronised_batch_norm
    # It only complains of a SyncBatchNorm on the CPU.
    DistributedDataParallel._passing_sync_batchnorm_handle = lambda self, module: None


if __name__ == '__main__':
    folder = Path(__file__).parent
    # The first makes mmengine's configs quick.
    sys.path[:0] = [str(folder.parent), str(folder)]
    import conftest  # noqa: F401

    from mmrazor_tat.utils import environment

    environment.get_device = lambda: 'a GPU'
    torch.set_num_threads(1)
    install()
    scripts = [[]]
    for argument in sys.argv[1:]:
        if argument == '--then':
            scripts.append([])
        else:
            scripts[-1].append(argument)
    for sys.argv in scripts:
        runpy.run_path(sys.argv[0], run_name='__main__')
    # Past the interpreter's own end, in which a thread of gloo may abort the process after all is
    # done (torch 2.13, one end in five to ten; https://github.com/pytorch/pytorch/pull/179291).
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
