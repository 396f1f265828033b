"""Settings of the optimizer by the name of a parameter, once the network stands alone."""

_ARCHITECTURE = 'architecture'
_PARTS = {'distiller', 'teacher', 'distill_losses', 'connectors'}


def plain_custom_keys(optim_wrapper: dict, distiller: dict) -> list[str]:
    """Rewrite ``paramwise_cfg.custom_keys``, in place: the student's parameters by its own names.

    Args:
        optim_wrapper: of a recipe.
        distiller: the recipe's, whose losses and connectors may be named.

    Returns:
        What was left out, in words.
    """
    settings = optim_wrapper.get('paramwise_cfg') or {}
    keys = settings.get('custom_keys')
    if not keys:
        return []
    parts = {
        *_PARTS,
        *(distiller.get('distill_losses') or ()),
        *(distiller.get('connectors') or ()),
    }
    plain, left_out = {}, []
    for key, value in keys.items():
        if parts & set(key.split('.')):
            left_out.append(f'optim_wrapper.paramwise_cfg.custom_keys[{key!r}]')
        elif key in (_ARCHITECTURE, f'{_ARCHITECTURE}.'):
            plain[''] = value  # in every name: mmengine looks for the key within it
        else:
            plain[key.removeprefix(f'{_ARCHITECTURE}.')] = value
    settings['custom_keys'] = plain
    if not plain:
        del settings['custom_keys']
    if not settings:
        del optim_wrapper['paramwise_cfg']
    return left_out
