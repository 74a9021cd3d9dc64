from ollamapy import wire
from ollamapy.actions.rerank import fill_template, rerank_messages
from ollamapy.types import RerankRequest

REQUEST = RerankRequest("m", "who {document}?", ("</s>", ""))


def test_query_and_document_are_a_pair_of_plain_texts():
    (message,) = rerank_messages(REQUEST, "", 64)
    query = wire.Segment("who {document}?", special=False)
    assert message.inputs == [[query, wire.Segment("</s>", special=False)], [query, wire.Segment("", special=False)]]
    assert (message.pairs, message.add_special) == (True, True)


def test_a_models_own_template_frames_them_and_alone_has_control_tokens():
    (message,) = rerank_messages(REQUEST, "<s>Q: {query}\nD: {document}</s>", 64)
    assert (message.pairs, message.add_special) == (False, False)
    assert message.inputs[0] == [
        wire.Segment("<s>Q: "),
        wire.Segment("who {document}?", special=False),
        wire.Segment("\nD: "),
        wire.Segment("</s>", special=False),
        wire.Segment("</s>"),
    ]


def test_a_template_may_name_the_query_twice():
    texts = [segment.text for segment in fill_template("{query}{query}-{document}", "q", "d")]
    assert texts == ["q", "q", "-", "d"]
