"""The files that come with a question: read, or looked at, before the research begins."""

from __future__ import annotations

from urllib.parse import quote

from executors.controller.reporting import begin_report
from executors.controller.state import RunState
from executors.controller.step import call_all, changed, learned, next_step
from executors.controller.team import begin_team
from executors.controller.visiting import take_readings
from schemas import events as ev
from schemas.events import Effect
from schemas.knowledge import Knowledge
from schemas.reading import Attachment
from schemas.research import ResearchRequest


def attached(request: ResearchRequest) -> dict[str, Attachment]:
    """Every attachment of the conversation by its URL, `attachment:` with its number and its name."""
    files = [attachment for message in request.messages for attachment in message.attachments]
    return {f"attachment:{number}/{quote(file.name)}": file for number, file in enumerate(files, start=1)}


def is_image(attachment: Attachment) -> bool:
    """Whether the sender says that it is an image."""
    return attachment.media_type.lower().startswith("image/")


def begin_attachments(state: RunState) -> RunState:
    """Read the documents at once, as pages of their own; then look at the images."""
    documents = [url for url, file in attached(state.request).items() if not is_image(file)]
    if not documents:
        return describe_images(state)
    return call_all(changed(state, step_pages=tuple(documents)), "read", [[url] for url in documents])


def end_documents(state: RunState) -> RunState:
    """Look at the images when the last document has been read or has failed."""
    if state.pending:
        return state
    state, _ = take_readings(state)
    return describe_images(changed(state, unread=state.unread + state.step_errors))


def describe_images(state: RunState) -> RunState:
    """Have the model put every image into words, which stand for it in all prompts; then the research begins."""
    images = [url for url, file in attached(state.request).items() if is_image(file)]
    if images and not state.uses_model:
        unread = (*state.unread, "images can only be looked at by a language model (LLM_MODEL)")
        return _begin_research(changed(state, unread=unread))
    return call_all(state, "describe", [[url] for url in images]) if images else _begin_research(state)


def on_described(state: RunState, effect: Effect, event: ev.Described) -> RunState:
    """Keep the words until those of the other images are there."""
    return end_descriptions(changed(state, described={**state.described, effect.items[0]: event.description.text}))


def end_descriptions(state: RunState) -> RunState:
    """Begin the research when the last image has been described or has failed; what they show is known in their order."""
    if state.pending:
        return state
    for url, image in attached(state.request).items():
        if text := state.described.get(url):
            question = f"What does the attached image {image.name} show?"
            state = learned(state, Knowledge(id="", kind="qa", question=question, answer=text))
    return _begin_research(state)


def _begin_research(state: RunState) -> RunState:
    """The kind of run that was asked for: a report, a team, or the loop."""
    if state.request.mode == "report":
        return begin_report(state)
    return begin_team(state) if state.request.team_size > 1 else next_step(state)
