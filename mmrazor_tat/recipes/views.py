"""Patches, groups and anchor points that fit a pair of maps."""


def choose_views(method: str, *sizes: tuple[int, int]) -> list[dict]:
    """Views of TaT for maps of these sizes, in the proportions of the paper's for ResNet-18.

    Patches of 8 x 8 positions (4 x 4 and 2 x 2 in small maps), four of them to a group, and about
    32 x 32 anchor points. On a map below 16 x 16 the whole map is the view, as in the paper's
    classification.

    Args:
        method: one that starts with 'tat'.
        sizes: (H, W) of the student's and of the teacher's map.
    """
    height, width = (min(sides) for sides in zip(*sizes))
    side = min(height, width)
    if method == 'tat-whole' or (side < 16 and method not in ('tat-patch', 'tat-anchor')):
        return [dict(type='whole', weight=0.1)]
    patch = 8 if side >= 64 else 4 if side >= 16 else 2
    grid = (max(1, height // patch), max(1, width // patch))
    count = grid[0] * grid[1]
    groups = max(g for g in range(1, count + 1) if count % g == 0 and (g == 1 or g * 4 <= count))
    kernel = round(side / 32) if side >= 64 else 2 if side >= 8 else 1
    views = dict(
        patch=dict(type='patch', grid=grid, groups=groups, weight=0.1),
        anchor=dict(type='anchor', kernel=kernel, weight=0.04),
    )
    if method == 'tat-patch':
        return [views['patch']]
    if method == 'tat-anchor':
        return [{**views['anchor'], 'weight': 0.1}]
    return list(views.values())


def describe_views(views: list[dict], size: tuple[int, int]) -> list[str]:
    """A line for each view on the student's map."""
    lines = []
    height, width = size
    for view in views:
        rows, columns = view.get('grid', (1, 1))
        of, k = f'{height // rows} x {width // columns}', view.get('kernel', 1)
        texts = dict(
            patch=f'patch groups: {rows} x {columns} patches of {of}, {view.get("groups")} groups',
            anchor=f'anchor points: {height // k} x {width // k} means of {k} x {k}',
            whole=f'the whole map: {height * width} positions',
        )
        lines.append(texts[view['type']])
    return lines
