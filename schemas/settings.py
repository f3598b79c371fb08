"""Every setting, once. A field's name in capitals is its environment variable; a `.env` file in the working folder is read too."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, Optional

from platformdirs import user_data_path
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.support import Citations


class Settings(BaseSettings):
    """Settings of all stages. Secrets are `SecretStr`, so they print as stars."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    # -- language model ------------------------------------------------------------------------------------------------
    openai_api_key: Optional[SecretStr] = Field(None, description="Key of the OpenAI-compatible server; many local servers need none.")
    openai_base_url: Optional[str] = Field(
        None, description="Base URL of the OpenAI-compatible server, such as http://localhost:11434/v1; unset: api.openai.com."
    )
    llm_model: Optional[str] = Field(None, description="Model that drives every decision. Unset: extractive mode, no model is used.")
    llm_model_planner: Optional[str] = Field(
        None, description="Model of the planner (understanding, deciding, rewriting); unset: LLM_MODEL."
    )
    llm_model_coder: Optional[str] = Field(None, description="Model that writes programs; unset: LLM_MODEL.")
    llm_model_evaluator: Optional[str] = Field(None, description="Model of the evaluator and the error analysis; unset: LLM_MODEL.")
    llm_model_finalizer: Optional[str] = Field(None, description="Model that composes the final answer; unset: LLM_MODEL.")
    llm_temperature_planner: float = Field(0.7, ge=0, le=2, description="Sampling temperature of the planner.")
    llm_temperature_coder: float = Field(0.7, ge=0, le=2, description="Sampling temperature of the coder.")
    llm_temperature_evaluator: float = Field(0.6, ge=0, le=2, description="Sampling temperature of the evaluator.")
    llm_temperature_finalizer: float = Field(0.6, ge=0, le=2, description="Sampling temperature of the finalizer.")
    llm_max_output_tokens: int = Field(
        8_000, ge=256, description="Most tokens one model call may write; shrinks to what the budget leaves."
    )
    llm_context_tokens: int = Field(128_000, ge=2_000, description="Context window of the model, in tokens; prompts are cut to fit.")
    llm_timeout_seconds: float = Field(120.0, gt=0, description="Longest one model call may take.")
    llm_max_retries: int = Field(
        2, ge=0, le=10, description="Retries of a model call after 429, 5xx or a broken connection; Retry-After is honoured."
    )
    llm_concurrency: int = Field(64, ge=1, le=1024, description="Calls that one process has under way at the model's server.")
    llm_price_input: float = Field(0.0, ge=0, description="USD per million prompt tokens; 0: money is not counted.")
    llm_price_output: float = Field(0.0, ge=0, description="USD per million completion tokens.")

    # -- search and reading --------------------------------------------------------------------------------------------
    jina_api_key: Optional[SecretStr] = Field(None, description="Key for Jina search, reader, embeddings and reranker.")
    jina_search_url: str = Field("https://s.jina.ai/", description="Jina search endpoint.")
    jina_reader_url: str = Field("https://r.jina.ai/", description="Jina reader endpoint.")
    jina_api_url: str = Field("https://api.jina.ai/v1", description="Base URL of Jina's embeddings and reranker.")
    use_jina_search: bool = Field(True, description="Use Jina search when a key is set.")
    jina_fetch_content: bool = Field(
        False, description="Have Jina search deliver the text of its results: those pages are read without being fetched."
    )
    jina_search_per_keyword: Optional[int] = Field(
        None, ge=1, le=100, description="Results that Jina search gives for one query; unset: as many as the request asks for."
    )
    brave_api_key: Optional[SecretStr] = Field(None, description="Key for Brave Search; set: it is asked after Jina.")
    brave_search_url: str = Field("https://api.search.brave.com/res/v1/web/search", description="Brave Search endpoint.")
    serper_api_key: Optional[SecretStr] = Field(None, description="Key for Serper (Google's results); set: it is asked after Brave.")
    serper_search_url: str = Field("https://google.serper.dev/search", description="Serper endpoint.")
    searxng_url: Optional[str] = Field(
        None, description="Base URL of a SearXNG server that answers in JSON, such as http://localhost:8888; set: it is asked after Serper."
    )
    arxiv_search_url: str = Field(
        "https://export.arxiv.org/api/query", description="arXiv endpoint; asked only when a request names `arxiv` as its search provider."
    )
    use_duckduckgo: bool = Field(
        True, description="Ask DuckDuckGo, which needs no key, when other web search fails or none is configured; never for a corpus alone."
    )
    duckduckgo_url: str = Field("https://html.duckduckgo.com/html/", description="DuckDuckGo endpoint.")
    search_timeout_seconds: float = Field(10.0, gt=0, description="Longest one search may take.")
    search_concurrency: int = Field(16, ge=1, le=256, description="Queries that one provider is sent at the same time by one searcher.")
    search_per_minute: Optional[int] = Field(
        None, ge=1, description="Queries that one provider is sent in a minute by one searcher; unset: each provider's own published limit."
    )
    reader_concurrency: int = Field(8, ge=1, le=256, description="Pages that one page reader reads at the same time.")
    reader_timeout_seconds: float = Field(60.0, gt=0, description="Longest one page may take.")
    reader_robots: bool = Field(True, description="Obey robots.txt of the sites that are read directly, without the Jina reader.")
    reader_user_agent: str = Field(
        "deepsearch/0.1", description="User-Agent for pages read directly; robots.txt is obeyed for its first name."
    )
    deepsearch_allow_hosts: str = Field(
        "",
        description="Host names and networks, comma-separated, that pages may be read from although they are private, such as wiki.corp,10.1.0.0/16.",
    )
    max_page_bytes: int = Field(20_000_000, gt=0, description="Largest page or document that is read, in bytes.")

    # -- embeddings and reranking --------------------------------------------------------------------------------------
    embedding_provider: Literal["auto", "jina", "openai", "local", "none"] = Field(
        "auto",
        description="Who embeds texts: `jina`, any `openai`-compatible server, `local` (EMBEDDING_MODEL is a folder). `auto`: the one that is configured, or none.",
    )
    embedding_model: Optional[str] = Field(
        None,
        description="Embedding model; for `local` a folder with `tokenizer.json` and `model.safetensors`. Unset, with Jina: jina-embeddings-v3.",
    )
    embedding_base_url: Optional[str] = Field(
        None, description="Base URL of the OpenAI-compatible embeddings server; unset: OPENAI_BASE_URL."
    )
    embedding_api_key: Optional[SecretStr] = Field(None, description="Its key; unset: OPENAI_API_KEY.")
    embedding_dimensions: Optional[int] = Field(
        None, ge=8, le=8192, description="Dimensions to ask for; unset: the model's own, with Jina 1024."
    )
    embedding_timeout_seconds: float = Field(30.0, gt=0, description="Longest that embedding or reranking for one call may take.")
    rerank_provider: Literal["auto", "jina", "none"] = Field(
        "auto",
        description="Who reranks candidates: `jina` or any server with its wire format (JINA_API_URL). `auto`: Jina when a key is set.",
    )
    rerank_model: str = Field("jina-reranker-v2-base-multilingual", description="Rerank model.")
    rank_freshness_weight: float = Field(
        0.0,
        ge=0,
        le=5,
        description="Weight of a candidate's freshness in its score; questions that ask for recent information use at least 0.5.",
    )
    rank_source_weight: float = Field(
        0.0, ge=0, le=5, description="Weight of a candidate's kind of source (government, university, standards body) in its score."
    )

    # -- cache ---------------------------------------------------------------------------------------------------------
    deepsearch_cache: Literal["off", "read-write", "record", "replay"] = Field(
        "off",
        description="What is remembered of the outside (search results, pages, embeddings, model turns): `read-write` uses and keeps it, `record` asks anew and keeps it, `replay` uses nothing else.",
    )
    deepsearch_cache_url: Optional[SecretStr] = Field(
        None,
        description="Where it is kept: sqlite:///PATH, or redis://HOST:PORT/0 for all processes of a cluster; unset: cache.db in DEEPSEARCH_HOME.",
    )
    deepsearch_cache_mb: int = Field(
        1_024, ge=1, description="Largest size of the cache, in megabytes; what was not used for longest goes first."
    )
    deepsearch_cache_seconds: float = Field(
        86_400.0, gt=0, description="Longest that `read-write` uses a search result or page; embeddings and model turns do not age."
    )

    # -- documents and state -------------------------------------------------------------------------------------------
    deepsearch_corpus: Optional[Path] = Field(None, description="Folder of documents to search; `deepsearch index` prepares it.")
    deepsearch_home: Path = Field(
        default_factory=lambda: user_data_path("deepsearch"), description="Where indexes and the journal are kept."
    )
    deepsearch_corpus_url: Optional[SecretStr] = Field(
        None,
        description="Index of the documents for all processes of a cluster: postgresql://USER:PASSWORD@HOST/DATABASE; unset: files in DEEPSEARCH_HOME.",
    )
    deepsearch_state_url: Optional[SecretStr] = Field(
        None,
        description="Journal of runs: sqlite:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE or redis://HOST:PORT/0; unset: runs.db in DEEPSEARCH_HOME.",
    )
    deepsearch_lease_seconds: float = Field(
        10.0, ge=1, le=600, description="Time without a sign of life from a run's controller after which another goes on with the run."
    )
    deepsearch_keep_days: Optional[float] = Field(
        None,
        gt=0,
        description="Days after which a run that has ended is deleted with its pages; unset: runs are kept until they are deleted.",
    )

    # -- run defaults --------------------------------------------------------------------------------------------------
    deepsearch_budget_seconds: float = Field(600.0, ge=1, description="Time limit of a run that names none.")
    deepsearch_max_searches: int = Field(200, ge=0, description="Search queries a run may send.")
    deepsearch_max_pages: int = Field(200, ge=0, description="Pages a run may fetch.")
    deepsearch_max_llm_calls: int = Field(400, ge=1, description="Model calls a run may make.")
    deepsearch_max_steps: int = Field(60, ge=1, description="Steps a run may take.")
    deepsearch_citations: Citations = Field(
        "strict",
        description="What happens to a sentence of an answer that no evidence supports: `strict` removes it, `flag` marks it, `off` leaves it unchecked.",
    )

    # -- the door ------------------------------------------------------------------------------------------------------
    deepsearch_api_keys: Optional[SecretStr] = Field(
        None,
        description="Keys of those who may ask, comma-separated; each as it is or as sha256: and its hash in hexadecimal. Unset: only this machine may ask.",
    )
    deepsearch_api_keys_file: Optional[Path] = Field(
        None, description="File with keys in the same forms, one in a line; read again when it changes."
    )
    deepsearch_allow_anonymous: bool = Field(False, description="Answer requests without a key from other machines too.")
    deepsearch_key_requests_per_minute: int = Field(
        120, ge=1, description="Requests that one key, or one address without a key, may make in a minute."
    )
    deepsearch_key_runs: int = Field(16, ge=1, description="Runs that one key, or one address without a key, may have under way.")
    deepsearch_key_followers: int = Field(
        64, ge=1, description="Streams of events of runs that one key, or one address without a key, may follow at the same time."
    )
    deepsearch_key_daily_tokens: int = Field(0, ge=0, description="Tokens that the runs of one key may use in a day (UTC); 0: no limit.")
    deepsearch_limits_url: Optional[SecretStr] = Field(
        None,
        description="Where these limits are counted for all gateways together: redis://HOST:PORT/0; unset: in the memory of each gateway.",
    )
    deepsearch_api_key: Optional[SecretStr] = Field(
        None, description="Key that `deepsearch ask --host` and `deepsearch mcp --host` send to the Flow."
    )
    deepsearch_max_runs: int = Field(64, ge=1, description="Runs under way at the gateway; more have to wait.")
    deepsearch_max_waiting: int = Field(64, ge=0, description="Runs that may wait for their turn; more are refused with 503.")
    deepsearch_max_body_bytes: int = Field(30_000_000, ge=1_000, description="Largest request body, in bytes.")
    deepsearch_cors_origins: str = Field(
        "", description="Origins of web pages that may call the HTTP API, comma-separated; empty: none but its own."
    )
    deepsearch_tls_certificate: Optional[Path] = Field(
        None, description="PEM file with the certificate chain; set with its key: HTTP and gRPC speak TLS only."
    )
    deepsearch_tls_key: Optional[Path] = Field(None, description="PEM file with the private key of the certificate.")

    # -- the Flow ------------------------------------------------------------------------------------------------------
    deepsearch_host: str = Field("127.0.0.1", description="Address the gateway listens on.")
    deepsearch_http_port: int = Field(8080, ge=1, le=65535, description="HTTP port of the gateway.")
    deepsearch_grpc_port: int = Field(8081, ge=1, le=65535, description="gRPC port of the gateway.")
    deepsearch_stage_host: str = Field("127.0.0.1", description="Address the stages listen on; 0.0.0.0 in containers.")
    deepsearch_controller_port: int = Field(8090, ge=1, le=65535, description="Port of the controller.")
    deepsearch_query_planner_port: int = Field(8091, ge=1, le=65535, description="Port of the query planner.")
    deepsearch_jina_searcher_port: int = Field(8092, ge=1, le=65535, description="Port of the searcher.")
    deepsearch_url_ranker_port: int = Field(8093, ge=1, le=65535, description="Port of the URL ranker.")
    deepsearch_page_reader_ports: str = Field("8094,8095", description="Ports of the page readers, one per replica, comma-separated.")
    deepsearch_page_reader_replicas: int = Field(2, ge=1, le=64, description="How many page readers; give as many ports.")
    deepsearch_evaluator_port: int = Field(8096, ge=1, le=65535, description="Port of the evaluator.")
    deepsearch_answer_finalizer_port: int = Field(8097, ge=1, le=65535, description="Port of the answer finalizer.")
    query_planner_address: Optional[str] = Field(
        None,
        description="Where the controller finds the query planner: host:port list or dns:///name:port. Unset: this machine, the port above.",
    )
    jina_searcher_address: Optional[str] = Field(None, description="The same for the searcher.")
    url_ranker_address: Optional[str] = Field(None, description="The same for the URL ranker.")
    page_reader_address: Optional[str] = Field(None, description="The same for the page readers.")
    evaluator_address: Optional[str] = Field(None, description="The same for the evaluator.")
    answer_finalizer_address: Optional[str] = Field(None, description="The same for the answer finalizer.")
    deepsearch_stage_concurrency: int = Field(
        256,
        ge=1,
        description="Calls, as many streams, and as many that only follow runs, of one stage process at the same time; a page reader: "
        "READER_CONCURRENCY.",
    )
    deepsearch_stage_waiting: int = Field(
        256,
        ge=0,
        description="Calls, and as many streams, that may wait for their turn in one stage process; more are refused as overloaded.",
    )
    drain_seconds: float = Field(20.0, ge=0, description="How long a stopping process lets its calls finish.")
    leaving_seconds: float = Field(
        0.0,
        ge=0,
        le=60,
        description="How long a stopping process still takes calls after it has told that it is not ready; in a cluster, as long as that news travels.",
    )

    # -- telemetry -----------------------------------------------------------------------------------------------------
    deepsearch_log_format: Literal["text", "json"] = Field(
        "text", description="`json`: one object a line, with the ids of run and trace where there is one."
    )
    deepsearch_stage_metrics: bool = Field(
        False,
        description="Serve Prometheus metrics of every stage at /metrics, on its port plus 1000; those of the gateway are on its HTTP port.",
    )
    otel_exporter_otlp_endpoint: Optional[str] = Field(
        None, description="OpenTelemetry collector that traces are sent to, such as http://localhost:4317 (gRPC). Unset: none are made."
    )

    # -- sandbox -------------------------------------------------------------------------------------------------------
    sandbox_seconds: float = Field(5.0, gt=0, le=60, description="Longest a generated program may run.")
    sandbox_memory_mb: int = Field(128, ge=16, le=2048, description="Most memory a generated program may use, in megabytes.")

    @property
    def state_url(self) -> str:
        """URL of the journal, default applied."""
        return _secret(self.deepsearch_state_url) or f"sqlite:///{self.deepsearch_home / 'runs.db'}"

    @property
    def has_corpus(self) -> bool:
        """Whether there are documents to search: a folder, or the corpus that a cluster shares."""
        return self.deepsearch_corpus is not None or self.deepsearch_corpus_url is not None

    @property
    def cache_url(self) -> str:
        """URL of the cache, default applied."""
        return _secret(self.deepsearch_cache_url) or f"sqlite:///{self.deepsearch_home / 'cache.db'}"

    def stage_address(self, stage: str) -> str:
        """Where the controller finds a stage: a comma-separated list of host:port, or a gRPC target such as `dns:///name:port`.

        `stage` is the Executor's name in `flow.yml`, such as `page_reader`.
        """
        configured: str | None = getattr(self, f"{stage}_address")
        if configured:
            return configured
        ports = self.deepsearch_page_reader_ports.split(",") if stage == "page_reader" else [str(getattr(self, f"deepsearch_{stage}_port"))]
        return ",".join(f"127.0.0.1:{port.strip()}" for port in ports)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read from the environment once. Tests and the in-process runner pass their own instead."""
    return Settings()
