-- What GET /metrics counts. Each is answered from an index of rows that are not final, so that a scrape costs as
-- much on a database of years as on a new one.

-- name: CountOpenUpdates :many
-- Updates that are not final, by state, and since when the one that is longest in it is there.
SELECT state, COUNT(*) AS updates, CAST(MIN(state_since) AS BIGINT) AS oldest FROM updates
WHERE state IN ('awaiting_approval', 'approved', 'rolling_out', 'verifying', 'rolling_back')
GROUP BY state;

-- name: CountOpenRollouts :many
-- Fleet rollouts that are not final, by state.
SELECT state, COUNT(*) AS rollouts FROM rollouts
WHERE state IN ('running', 'paused', 'rolling_back')
GROUP BY state;
