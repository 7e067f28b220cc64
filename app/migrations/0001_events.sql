CREATE TABLE users (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    token_hash bytea       NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE events (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner      bigint      NOT NULL REFERENCES users (id),
    name       text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    note       text        CHECK (char_length(note) <= 10000),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Every access is one user's, and lists go by id.
CREATE INDEX events_by_owner ON events (owner, id);

-- One row an instance, written by each readiness probe. Half-full pages keep those updates in place (HOT).
CREATE TABLE readiness (
    instance  text        PRIMARY KEY,
    probed_at timestamptz NOT NULL
) WITH (fillfactor = 50);
