"""Make, or check, the data root that the configs of VOC12aug or COCO-Stuff10K expect.

Nothing is downloaded: the official archives are unpacked, and converted by mmseg's converters.
"""

import argparse
from functools import partial

from mmrazor_tat.data_preparation.archives import COCO, SBD, VOC
from mmrazor_tat.data_preparation.check import check_root
from mmrazor_tat.data_preparation.prepare import prepare

ROOT = "the data_root of {}'s config, e.g. {}; made if missing"
FOUND = 'looked for in ROOT and beside it by its official name'


def parse_args() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--check', action='store_true', help='check the root, change nothing')
    common.add_argument(
        '--subset',
        action='store_true',
        help='not the official archives: take the number of images as it is',
    )
    common.add_argument('--workers', type=int, metavar='N', help='default: one a core')

    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='DATASET')
    voc = kinds.add_parser('voc12aug', parents=[common], help='Pascal VOC 2012 with SBD')
    voc.add_argument('root', metavar='ROOT', help=ROOT.format('mmseg', 'data/VOCdevkit/VOC2012'))
    voc.add_argument('--voc-archive', metavar='VOCtrainval_11-May-2012.tar', help=FOUND)
    voc.add_argument(
        '--sbd-archive', metavar='benchmark.tgz', help=f'or its unpacked folder; {FOUND}'
    )
    coco = kinds.add_parser('coco-stuff10k', parents=[common], help='COCO-Stuff 10K v1.1')
    coco.add_argument('root', metavar='ROOT', help=ROOT.format('mmseg', 'data/coco_stuff10k'))
    coco.add_argument(
        '--archive', metavar='cocostuff-10k-v1.1.zip', help=f'or its unpacked folder; {FOUND}'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    how = dict(subset=args.subset, workers=args.workers, say=partial(print, flush=True))
    given = {
        of.file_name: getattr(args, of.flag[2:].replace('-', '_'), None) for of in (VOC, SBD, COCO)
    }
    try:
        if args.check:
            report = check_root(args.kind, args.root, **how)
        else:
            report = prepare(args.kind, args.root, given, **how)
    except (ValueError, OSError) as error:
        raise SystemExit(f'prepare_data: {error}') from None
    except KeyboardInterrupt:
        raise SystemExit('prepare_data: interrupted; run the same command again') from None
    print(report)
    raise SystemExit(not report.ok)


if __name__ == '__main__':
    main()
