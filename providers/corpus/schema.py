"""The tables of a shared corpus in PostgreSQL, in a schema of their own, and how an older form becomes the present one."""

from __future__ import annotations

SCHEMA = "deepsearch_corpus"

MIGRATIONS = (
    """
    CREATE TABLE documents (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        url text COLLATE "C" NOT NULL UNIQUE,
        format integer NOT NULL, mtime_ns bigint NOT NULL, size bigint NOT NULL, hash bytea NOT NULL,
        title text NOT NULL, text text NOT NULL, language text NOT NULL, published text, author text NOT NULL, links text NOT NULL,
        page_id text NOT NULL,
        passages integer NOT NULL, terms bigint NOT NULL, title_terms integer NOT NULL,
        model integer
    );
    CREATE TABLE passages (
        document bigint NOT NULL REFERENCES documents ON DELETE CASCADE, number integer NOT NULL,
        starts integer NOT NULL, ends integer NOT NULL, heading text NOT NULL,
        PRIMARY KEY (document, number)
    );
    -- The inverted index: how often a term is in the title of a document, and in which of its passages, how often, how long they are.
    CREATE TABLE postings (
        term text COLLATE "C" NOT NULL, document bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
        in_title integer NOT NULL, numbers integer[] NOT NULL, frequencies integer[] NOT NULL, lengths integer[] NOT NULL,
        PRIMARY KEY (term, document)
    );
    CREATE INDEX postings_of_document ON postings (document);
    CREATE TABLE models (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, dimensions integer NOT NULL, UNIQUE (name, dimensions)
    );
    CREATE TABLE languages (
        language text PRIMARY KEY, documents bigint NOT NULL, passages bigint NOT NULL, terms bigint NOT NULL, title_terms bigint NOT NULL
    );
    -- At the end of a transaction, so that indexers wait for each other no longer than that takes.
    CREATE FUNCTION count_document() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            UPDATE deepsearch_corpus.languages SET documents = documents - 1, passages = passages - OLD.passages,
                terms = terms - OLD.terms, title_terms = title_terms - OLD.title_terms::bigint * OLD.passages
            WHERE language = OLD.language;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO deepsearch_corpus.languages AS l
            VALUES (NEW.language, 1, NEW.passages, NEW.terms, NEW.title_terms::bigint * NEW.passages)
            ON CONFLICT (language) DO UPDATE SET documents = l.documents + 1, passages = l.passages + excluded.passages,
                terms = l.terms + excluded.terms, title_terms = l.title_terms + excluded.title_terms;
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER count_document AFTER INSERT OR DELETE OR UPDATE OF language, passages, terms, title_terms ON documents
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_document();
    """,
)
"""Each makes the tables of one version from those of the version before. Never change one: add another."""

VECTORS = """
    CREATE EXTENSION IF NOT EXISTS vector;
    CREATE TABLE IF NOT EXISTS deepsearch_corpus.embeddings (
        document bigint NOT NULL, number integer NOT NULL, model integer NOT NULL, vector vector NOT NULL,
        PRIMARY KEY (document, number),
        FOREIGN KEY (document, number) REFERENCES deepsearch_corpus.passages ON DELETE CASCADE
    );
"""
"""What only vectors need, so that a database without pgvector serves as well."""
