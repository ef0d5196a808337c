"""oneglance collections reembed: another bundle for the same people, by the running service."""

import argparse
from typing import TYPE_CHECKING, Any

from contract.errors import OneGlanceError
from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import add_yes, confirm, say
from service.commands.reembedding_words import (
    comparison_in_words,
    outcomes_in_words,
    state_in_words,
)
from service.commands.waiting import wait

if TYPE_CHECKING:
    from service.client import Client
    from service.reembed_answer import ReembeddingOut


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "reembed",
        _run,
        help="let the service embed a collection anew by another of its bundles, from the stored "
        "crops, beside what is searched, and compare; then --switch to it. Without --bundle and a "
        "step: how far it is. The same command goes on after an interruption",
        collection=False,
    )
    parser.add_argument("collection_id", metavar="NAME")
    parser.add_argument("--bundle", help="a served bundle to embed by: name, or name@version")
    step = parser.add_mutually_exclusive_group()
    step.add_argument("--switch", action="store_true", help="serve the new embeddings")
    step.add_argument("--rollback", action="store_true", help="serve the former ones again")
    step.add_argument("--drop-former", action="store_true", help="remove the former ones")
    step.add_argument("--abandon", action="store_true", help="remove what was embedded anew")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="switch, or go back, though templates have no embedding there and will not be found",
    )
    add_yes(parser)


def _run(args: argparse.Namespace, client: "Client") -> int:
    if args.bundle and (args.rollback or args.drop_former or args.abandon):
        raise OneGlanceError("Give --bundle to embed, alone or with --switch.")
    if args.bundle:
        _embed(args, client)
    if args.switch:
        _tell(args, client.switch_bundle(args.collection_id, allow_missing=args.allow_missing))
    elif args.rollback:
        _tell(args, client.roll_back_bundle(args.collection_id, allow_missing=args.allow_missing))
    elif args.drop_former:
        confirm(args, f"Remove the former embeddings of {args.collection_id!r}?")
        client.drop_former_embeddings(args.collection_id)
        _tell(args, client.get_reembedding(args.collection_id))
    elif args.abandon:
        confirm(args, f"Remove what was embedded anew of {args.collection_id!r}?")
        client.abandon_reembedding(args.collection_id)
        _tell(args, client.get_reembedding(args.collection_id))
    elif not args.bundle:
        _tell(args, client.get_reembedding(args.collection_id))
    return 0


def _embed(args: argparse.Namespace, client: "Client") -> None:
    from service.reembed_answer import ReembeddingOut

    job = client.reembed(args.collection_id, bundle=args.bundle).job
    result = wait(client, job, what="re-embed").result or {}
    if args.json:
        answer_json(result)
        return
    say(outcomes_in_words(result["outcomes"]))
    _tell(args, ReembeddingOut.model_validate(result["reembedding"], extra="ignore"))


def _tell(args: argparse.Namespace, now: "ReembeddingOut") -> None:
    if args.json:
        answer_json(now)
        return
    served = now.bundle.id if now.bundle else "a bundle that is not served"
    if now.state == "none":
        say(f"{now.template_count} templates are searched, by {served}")
    else:
        to = now.next_bundle.id if now.next_bundle else "a bundle that is not served"
        say(f"on the way from {served} to {to}: {now.state.replace('_', ' ')}")
        say(
            state_in_words(
                searched=now.template_count,
                staged=now.staged_count,
                missing=now.missing_count,
                subjects_without=now.missing_subject_count,
            )
        )
    if now.comparison:
        say(
            comparison_in_words(
                searched_rank1=now.comparison.searched.rank1,
                searched_probes=now.comparison.searched.probe_count,
                staged_rank1=now.comparison.staged.rank1,
                staged_probes=now.comparison.staged.probe_count,
                subjects=now.comparison.subject_count,
            )
        )
    if now.former:
        back = now.former.bundle.id if now.former.bundle else "a bundle that is not served"
        say(f"--rollback goes back to {back} with {now.former.template_count} templates")
