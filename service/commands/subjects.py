"""oneglance subjects list | show | rename | merge | delete | delete-template."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import add_yes, confirm, say
from service.commands.whole_file import check_place, whole_file
from service.schemas import SubjectOut

if TYPE_CHECKING:
    from service.client import Client


def add(commands: Any) -> None:
    """Declare the command with its own commands."""
    words = "list, show, rename, merge and remove the subjects of a running service"
    own = commands.add_parser("subjects", help=words, description=words).add_subparsers(
        required=True, metavar="COMMAND"
    )
    found = add_command(own, "list", _list, help="print the subjects, oldest first")
    found.add_argument("--name", help="only those of exactly this name")
    found.add_argument("--external-id", metavar="ID", help="only that of this id of yours")
    show = add_command(own, "show", _show, help="print a subject with its templates")
    rename = add_command(own, "rename", _rename, help="give a subject another name")
    merge = add_command(
        own, "merge", _merge, help="give a subject's templates to another one, and remove it"
    )
    delete = add_command(own, "delete", _delete, help="remove a subject with all its templates")
    for parser in (show, rename, merge, delete):
        parser.add_argument("subject_id", metavar="SUBJECT_ID")
    delete.add_argument(
        "--report", type=Path, metavar="FILE", help="what was erased where, for the person"
    )
    rename.add_argument("name", metavar="NAME")
    merge.add_argument("--into", required=True, metavar="SUBJECT_ID", help="the one that stays")
    template = add_command(
        own, "delete-template", _delete_template, help="remove one template; its subject stays"
    )
    template.add_argument("template_id", metavar="TEMPLATE_ID")
    for parser in (merge, delete, template):
        add_yes(parser)


def _list(args: argparse.Namespace, client: "Client") -> int:
    for subject in client.iter_subjects(
        name=args.name, external_id=args.external_id, collection=args.collection, page_size=1_000
    ):
        _tell(args, subject)
    return 0


def _show(args: argparse.Namespace, client: "Client") -> int:
    subject = client.get_subject(args.subject_id, collection=args.collection)
    templates = client.list_templates(args.subject_id, collection=args.collection).templates
    if args.json:
        answer_json(
            subject.model_dump(mode="json")
            | {"templates": [template.model_dump(mode="json") for template in templates]}
        )
        return 0
    say(_in_words(subject))
    say(f"  enrolled {subject.created_at}")
    if subject.consent_ref is not None:
        say(f"  consent {subject.consent_ref}")
    if subject.metadata:
        say(f"  metadata {json.dumps(subject.metadata, ensure_ascii=False)}")
    for template in templates:
        crop = ", crop stored" if template.has_crop else ""
        say(f"  template {template.id} of {template.created_at}{crop}")
    return 0


def _rename(args: argparse.Namespace, client: "Client") -> int:
    _tell(args, client.update_subject(args.subject_id, name=args.name, collection=args.collection))
    return 0


def _merge(args: argparse.Namespace, client: "Client") -> int:
    subject = client.get_subject(args.subject_id, collection=args.collection)
    confirm(
        args,
        f"Give the {subject.template_count} templates of {subject.id!r} to {args.into!r} and "
        f"remove {subject.id!r}?",
    )
    _tell(args, client.merge_subject(subject.id, into=args.into, collection=args.collection))
    return 0


def _delete(args: argparse.Namespace, client: "Client") -> int:
    if args.report is not None:
        check_place(args.report, replace=False)
    subject = client.get_subject(args.subject_id, collection=args.collection)
    confirm(args, f"Remove {subject.id!r} with {subject.template_count} templates?")
    client.delete_subject(subject.id, collection=args.collection)
    if args.report is not None:
        report = client.get_erasure(subject.id, collection=args.collection)
        with whole_file(args.report, replace=False) as file:
            file.write(f"{report.model_dump_json(indent=2)}\n".encode())
    _tell_removed(args, subject.id)
    return 0


def _delete_template(args: argparse.Namespace, client: "Client") -> int:
    template = client.get_template(args.template_id, collection=args.collection)
    confirm(args, f"Remove the template {template.id!r} of {template.subject_id!r}?")
    client.delete_template(template.id, collection=args.collection)
    _tell_removed(args, template.id)
    return 0


def _tell_removed(args: argparse.Namespace, what: str) -> None:
    if args.json:
        answer_json({"removed": what})
    else:
        say(f"removed {what}")


def _tell(args: argparse.Namespace, subject: SubjectOut) -> None:
    if args.json:
        answer_json(subject)
    else:
        say(_in_words(subject))


def _in_words(subject: SubjectOut) -> str:
    expiry = f", expires {subject.expires_at}" if subject.expires_at else ""
    names = [name for name in (subject.name, subject.external_id) if name is not None]
    return "\t".join([subject.id, " / ".join(names), f"{subject.template_count} templates{expiry}"])
