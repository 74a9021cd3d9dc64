import msgspec
import pytest

from ollamapy import errors
from ollamapy.server.errors import CODES, STATUS, error_response, failure_of

EXPECTED = {
    "OllamapyError": 500,
    "InvalidInputError": 400,
    "InvalidNameError": 400,
    "InvalidDigestError": 400,
    "InvalidFileError": 400,
    "ModelfileError": 400,
    "TemplateError": 400,
    "OptionError": 400,
    "ContextLengthError": 400,
    "UnsupportedError": 400,
    "TooLargeError": 413,
    "ConfigError": 400,
    "ForbiddenError": 403,
    "NotFoundError": 404,
    "ModelNotFoundError": 404,
    "BlobNotFoundError": 404,
    "StoreError": 500,
    "DigestMismatchError": 400,
    "ManifestError": 500,
    "CapacityError": 503,
    "QueueFullError": 503,
    "ModelTooLargeError": 503,
    "RunnerError": 500,
    "LoadError": 500,
    "OutOfMemoryError": 500,
    "WorkerExitedError": 500,
    "WorkerTimeoutError": 504,
    "ServiceError": 503,
    "RegistryError": 502,
    "RemoteNotFoundError": 502,
    "UnauthorizedError": 502,
    "RegistryUnavailableError": 502,
    "TransferError": 502,
    "DiskFullError": 507,
    "ModelRestingError": 503,
}
CLASSES = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}


def make(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "the reason")
    return error


def test_every_error_has_a_status_here():
    assert set(CLASSES) == set(EXPECTED)
    assert {*STATUS, *CODES} <= set(CLASSES.values())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_status_is_that_of_the_nearest_class(name):
    failure = failure_of(make(CLASSES[name]))
    assert (failure.status, failure.message) == (EXPECTED[name], "the reason")


def test_an_unexpected_error_tells_nothing():
    failure = failure_of(ValueError("/home/me/secret"))
    assert failure.status == 500
    assert "secret" not in failure.message


def test_too_deep_input_is_the_clients_fault():
    assert failure_of(RecursionError()).status == 400


def test_each_api_has_its_own_shape():
    failure = failure_of(errors.ModelNotFoundError("x"))
    native = error_response(failure, "/api/chat")
    assert (native.status_code, native.body) == (404, b'{"error":"model \'x\' not found"}')
    assert native.headers["content-type"] == "application/json; charset=utf-8"
    openai = error_response(failure, "/v1/chat/completions")
    assert msgspec.json.decode(openai.body)["error"]["code"] == "model_not_found"
    assert openai.headers["content-type"] == "application/json"


def test_a_kind_is_told_where_the_status_says_too_little():
    failed = error_response(failure_of(errors.ManifestError("torn")), "/api/show")
    assert (failed.status_code, failed.body) == (500, b'{"error":"torn","kind":"store"}')
    assert failure_of(errors.TransferError("x")).kind == "registry"
    assert failure_of(errors.OllamapyError("x")).kind == ""


def test_a_full_server_says_when_to_come_back():
    response = error_response(failure_of(errors.QueueFullError()), "/api/chat")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


def test_a_model_at_rest_says_when_it_may_be_tried_again():
    response = error_response(failure_of(errors.ModelRestingError("it failed too often", 12.3)), "/api/chat")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "13"
