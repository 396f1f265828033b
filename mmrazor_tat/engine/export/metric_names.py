"""The names of metrics where the hooks that gave some of them are gone."""

from typing import Union


class MetricNames:
    """What ``save_best`` and ``monitor`` may name in a plain config."""

    def __init__(self) -> None:
        self._gone = {'teacher'}

    def drop_hook(self, hook: dict) -> None:
        """Take note of a hook that is left out: the metrics under its prefix are not there."""
        if hook.get('prefix'):
            self._gone.add(str(hook['prefix']))

    def plain(self, name: Union[str, list, None], where: str) -> Union[str, list, None]:
        """The same metric under the name that a plain validation gives it.

        Args:
            name: a metric, or several.
            where: it stands, for the error.

        Raises:
            ValueError: a plain validation has no such metric.
        """
        if isinstance(name, (list, tuple)):
            return [self.plain(item, where) for item in name]
        if not isinstance(name, str) or '/' not in name:
            return name
        prefix, metric = name.split('/', 1)
        if prefix == 'student':  # what the teacher's evaluation calls the plain one
            return metric
        if prefix in self._gone:
            raise ValueError(
                f'{where} = {name!r}: a plain validation has no such metric, as the hook that '
                f'gives it is of mmrazor_tat; choose another (--cfg-options {where}={metric})'
            )
        return name
