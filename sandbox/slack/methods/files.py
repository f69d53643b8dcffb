"""Methods about files: ask where to upload one, and share what was uploaded."""

from typing import Any

from sandbox.slack.methods.channels import known, speakable, thread
from sandbox.slack.methods.table import Args, Method
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.world import BOT_USER, File

Json = dict[str, Any]


def get_upload_url(site: Site, args: Args) -> Json:
    name, length = args.need("filename"), args.need("length")
    if not length.isdecimal() or int(length) == 0:
        raise Refusal("invalid_arguments", ["[ERROR] must be a number above 0 [json-pointer:/length]"])
    file = File(site.world.next_id("F"), name, int(length))
    site.files[file.id] = file
    return {"upload_url": f"{site.base_url}/upload/v1/{site.uploads.give(file.id)}", "file_id": file.id}


def complete_upload(site: Site, args: Args) -> Json:
    """Share files, each once, in channels or nowhere; the message is not in the answer."""
    given = args.structure("files", "invalid_arguments") or []
    files = [_uploaded(site, each.get("id", "")) for each in given]
    if not files:
        raise Refusal("invalid_arguments", ["[ERROR] no fewer than 1 items allowed [json-pointer:/files]"])
    asked = args.get("channel_id") or args.get("channels")
    channels = [speakable(known(site, each.strip())) for each in asked.split(",") if each]
    places = [(channel, thread(site, channel, args)) for channel in channels]
    comment = args.get("initial_comment")
    blocks = [] if comment else args.structure("blocks", "invalid_blocks_format") or []
    if blocks:
        site.checked({"blocks": blocks})
    for file, each in zip(files, given, strict=True):
        file.title, file.shared = each.get("title") or file.name, True
    for channel, thread_ts in places:
        site.speak(channel, BOT_USER, comment, blocks, thread_ts=thread_ts, files=files)
    return {"files": [{"id": file.id, "title": file.title} for file in files]}


def _uploaded(site: Site, file_id: str) -> File:
    file = site.files.get(file_id)
    if file is None or file.content is None or file.shared:
        raise Refusal("file_not_found")
    return file


WRITING = ("files:write",)
FILES = {
    "files.getUploadURLExternal": Method(get_upload_url, WRITING),
    "files.completeUploadExternal": Method(complete_upload, WRITING),
}
