"""JSON schemas of the custom resources that k8s/components use: as much of them as is used, and nothing else."""

from __future__ import annotations

from typing import Any


def _object(required: str = "", **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split(), "additionalProperties": False}


def _kind(api_version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _object("name labels", name=_TEXT, namespace=_TEXT, labels=_TEXTS)
    return _object("apiVersion kind metadata spec", apiVersion={"const": api_version}, kind={"const": kind}, metadata=metadata, spec=spec)


_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_COUNT = {"type": "integer", "minimum": 0}
_DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
_EXPRESSION = _object("key operator", key=_TEXT, operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}, values={"type": "array"})
_SELECTOR = _object(matchLabels=_TEXTS, matchExpressions={"type": "array", "items": _EXPRESSION})
_ENDPOINT = {
    "port": _TEXT,
    "path": _TEXT,
    "interval": _DURATION,
    "authorization": _object("credentials", type=_TEXT, credentials=_object("name key", name=_TEXT, key=_TEXT)),
}
_SCALING = _object(
    stabilizationWindowSeconds=_COUNT,
    selectPolicy={"enum": ["Max", "Min", "Disabled"]},
    policies={
        "type": "array",
        "items": _object("type value periodSeconds", type={"enum": ["Pods", "Percent"]}, value=_COUNT, periodSeconds=_COUNT),
    },
)
_PROMETHEUS = _object("serverAddress query threshold", serverAddress={"type": "string", "format": "uri"}, query=_TEXT, threshold=_TEXT)

CUSTOM_SCHEMAS: dict[str, dict[str, Any]] = {
    "PodMonitor": _kind(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        _object(
            "selector podMetricsEndpoints",
            selector=_SELECTOR,
            podMetricsEndpoints={"type": "array", "minItems": 1, "items": _object("port", **_ENDPOINT)},
        ),
    ),
    "ServiceMonitor": _kind(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        _object(
            "selector endpoints", selector=_SELECTOR, endpoints={"type": "array", "minItems": 1, "items": _object("port", **_ENDPOINT)}
        ),
    ),
    "ScaledObject": _kind(
        "keda.sh/v1alpha1",
        "ScaledObject",
        _object(
            "scaleTargetRef triggers",
            scaleTargetRef=_object("name", name=_TEXT, kind=_TEXT, apiVersion=_TEXT),
            pollingInterval=_COUNT,
            cooldownPeriod=_COUNT,
            minReplicaCount=_COUNT,
            maxReplicaCount=_COUNT,
            fallback=_object("failureThreshold replicas", failureThreshold=_COUNT, replicas=_COUNT),
            advanced=_object(horizontalPodAutoscalerConfig=_object(behavior=_object(scaleUp=_SCALING, scaleDown=_SCALING))),
            triggers={
                "type": "array",
                "minItems": 1,
                "items": _object(
                    "type metadata",
                    type={"const": "prometheus"},
                    metricType={"enum": ["AverageValue", "Value"]},
                    metadata=_PROMETHEUS,
                ),
            },
        ),
    ),
}
"""By kind."""
