"""The batch that a run trains with, held against the one that its learning rate is meant for."""

from dataclasses import asdict, dataclass
from typing import Any, Optional

from mmengine import Config


@dataclass(frozen=True)
class Batch:
    """What an iteration of the optimiser sees."""

    processes: int
    images: int  # of a process
    accumulated: int  # iterations before the optimiser moves
    meant: Optional[int]  # auto_scale_lr.base_batch_size; None: the config does not say
    config_lr: Optional[float]
    is_scaled: bool  # auto_scale_lr.enable

    @classmethod
    def of(cls, cfg: Config, processes: int) -> Optional['Batch']:
        """None where the config has no batch size."""
        images = (cfg.get('train_dataloader') or {}).get('batch_size')
        if images is None:
            return None
        wrapper, settings = cfg.get('optim_wrapper') or {}, cfg.get('auto_scale_lr') or {}
        return cls(
            processes=processes,
            images=images,
            accumulated=wrapper.get('accumulative_counts', 1),
            meant=settings.get('base_batch_size'),
            config_lr=(wrapper.get('optimizer') or {}).get('lr'),
            is_scaled=bool(settings.get('enable')),
        )

    @property
    def size(self) -> int:
        return self.processes * self.images * self.accumulated

    @property
    def lr(self) -> Optional[float]:
        """What the optimiser begins with; mmengine scales without the accumulated iterations."""
        if self.config_lr is None or self.meant is None or not self.is_scaled:
            return self.config_lr
        return self.config_lr * self.processes * self.images / self.meant

    @property
    def fits(self) -> bool:
        """Whether the learning rate is the one meant for this batch, as far as that is known."""
        if self.meant is None:
            return True
        return self.accumulated == 1 if self.is_scaled else self.size == self.meant

    def as_dict(self) -> dict[str, Any]:
        """For the record of a run."""
        return dict(size=self.size, lr=self.lr, **asdict(self))

    def complaint(self, launch: str = '') -> str:
        """Why it does not fit, and what to do; ``launch``: how to take '{}' processes."""
        processes = f'{self.processes} process{"es" * (self.processes > 1)}'
        of_steps = f' x {self.accumulated} accumulated iterations' * (self.accumulated > 1)
        text = f'a batch of {self.size} ({processes} x {self.images} images{of_steps})'
        scaled = None if self.config_lr is None else self.config_lr * self.size / self.meant
        if self.config_lr is None:
            text += f', but the learning rate is meant for {self.meant}'
        else:
            lr = f'learning rate {self.config_lr:g}'
            text += f', but the {lr} is meant for {self.meant}; scaled linearly it is {scaled:g}'
        if self.accumulated > 1:
            says = 'has scaled' if self.is_scaled else 'would scale'
            by_hand = 'optim_wrapper.optimizer.lr' + ('' if scaled is None else f'={scaled:g}')
            return (
                f"{text}. mmengine's auto_scale_lr {says} it by processes x images alone, without "
                f'the accumulated iterations: set {by_hand} yourself, without --auto-scale-lr'
            )
        needed, rest = divmod(self.meant, self.images)
        launcher = f'{launch.format(needed)}, or ' * (bool(launch) and needed > 1 and not rest)
        return f'{text}. Train with {launcher}--auto-scale-lr'
