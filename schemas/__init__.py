"""What passes between the stages: every type that crosses a process, the error tree and the settings.

Fields keep to the types that survive jina's gRPC and HTTP unchanged: bool, float, str, int within 32 bits, `Literal`,
lists and string-keyed dictionaries of these, nested documents, `DocList` and `Optional`. Times are seconds since the
epoch as float, dates are ISO 8601 strings. Defaults are plain values: a `default_factory` makes a field required over HTTP.
Modules of documents do not postpone their annotations, because docarray reads the raw ones to describe an endpoint.
"""
