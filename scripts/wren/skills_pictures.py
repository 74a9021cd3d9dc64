"""Questions about pictures, which stand in the corpus as the captions that the vision projector writes."""

from __future__ import annotations

from wren.pictures import ALL, PADDING
from wren.world import Chat, World, single

ASKED = (
    ("[What is|What's|What do you see] [in|on] [this|the] [picture|image|photo]?", "all"),
    ("[Describe|Explain] [this|the] [picture|image|photo].", "all"),
    ("What do you see[ here|]?", "all"),
    ("[What|Which] shape is [this|it|in the picture|in the image]?", "shape"),
    ("[What|Which] colour is the [{s}|shape]?", "colour"),
    ("[What|Which] colour [is|has] the background?", "background"),
)


def picture(w: World) -> Chat:
    """A question about a picture of a shape."""
    seen = w.of(ALL)
    pattern, about = w.of(ASKED)
    answer = {
        "all": f"A {seen.colour} {seen.shape} on a {seen.background} background.",
        "shape": f"It is a {seen.shape}.",
        "colour": f"The {seen.shape} is {seen.colour}.",
        "background": f"The background is {seen.background}.",
    }[about]
    shown = seen.caption + PADDING * w.rng.randint(1, 10)
    asked = w.say(pattern, s=seen.shape)
    chat = single("", answer, "I look at the picture.")
    chat.messages[0]["content"] = shown + w.of(("", "\n", " ")) + asked if w.chance(0.85) else asked + "\n" + shown
    return chat
