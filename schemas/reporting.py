"""The long form: what each page says, what they say together, an outline, and its sections."""

from typing import List, Optional

from docarray import BaseDoc, DocList

from schemas.knowledge import Evidence, Knowledge
from schemas.research import Message
from schemas.usage import Allowance, Usage


class DigestRequest(BaseDoc):
    """A page that was read for a question."""

    question: str = ""
    url: str = ""
    title: str = ""
    evidence: DocList[Evidence] = DocList[Evidence]()
    """Its passages."""
    language_style: str = ""
    allowance: Allowance = Allowance()


class Digest(BaseDoc):
    """What one page has to say about the question."""

    url: str = ""
    title: str = ""
    findings: List[str] = []
    """One statement each, citing evidence as `[e1]`; none when the page has nothing to say about the question."""
    usage: Usage = Usage()


class SynthesizeRequest(BaseDoc):
    """What the pages say one by one."""

    question: str = ""
    digests: DocList[Digest] = DocList[Digest]()
    evidence: DocList[Evidence] = DocList[Evidence]()
    language_style: str = ""
    allowance: Allowance = Allowance()


class Synthesis(BaseDoc):
    """What the pages say together. Every agreement and conflict cites its evidence as `[e1]`."""

    agreements: List[str] = []
    conflicts: List[str] = []
    gaps: List[str] = []
    """Questions that are still open, each fit to be searched for."""
    usage: Usage = Usage()


class OutlineRequest(BaseDoc):
    """Everything that was found for a report."""

    question: str = ""
    messages: DocList[Message] = DocList[Message]()
    digests: DocList[Digest] = DocList[Digest]()
    synthesis: Synthesis = Synthesis()
    evidence: DocList[Evidence] = DocList[Evidence]()
    words: Optional[int] = None
    """Length that is wanted; None: what the question asks for, or what the findings carry."""
    language_style: str = ""
    allowance: Allowance = Allowance()


class Section(BaseDoc):
    """A section that is to be written."""

    heading: str = ""
    brief: str = ""
    """What it is to tell, in a sentence or two."""
    evidence: List[str] = []
    """Ids of the evidence it is to rest on; empty: any."""
    words: int = 0
    """Length; 0: as long as its evidence carries."""


class Outline(BaseDoc):
    """The plan of a report."""

    title: str = ""
    sections: DocList[Section] = DocList[Section]()
    usage: Usage = Usage()


class SectionRequest(BaseDoc):
    """A section to write, and what it must fit to."""

    question: str = ""
    messages: DocList[Message] = DocList[Message]()
    outline: Outline = Outline()
    number: int = 0
    """Which section of the outline, counted from 0."""
    written: str = ""
    """The sections before it."""
    synthesis: Synthesis = Synthesis()
    knowledge: DocList[Knowledge] = DocList[Knowledge]()
    language_style: str = ""
    allowance: Allowance = Allowance()


class OutlineApproval(BaseDoc):
    """A plan that the run which waits for it may go on with."""

    run_id: str = ""
    owner: str = ""
    """The key that approves it. The gateway sets it, whatever a client has written here."""
    outline: Outline = Outline()
    """The outline as it is to be; without sections: as it was proposed."""
