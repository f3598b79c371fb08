-- What every script begins with. A run is a hash `run:ID` with its line and its lease, a list `events:ID` and two hashes, `pages:ID`
-- and `attachments:ID`; `children:ID` is a set. Sorted sets find runs that work for no other: `runs`, which are nobody's, `runs:NAME`,
-- which belong to a key, and `unfinished` by when they were begun, `written` by when they were last written. `askers` is the set of
-- the names.
local PREFIX = 'deepsearch:journal:'

local function key(kind, id)
    return PREFIX .. kind .. (id and ':' .. id or '')
end

-- Seconds since the epoch by the server's clock, as text: a number would lose its microseconds.
local function now(later)
    local time = redis.call('TIME')
    return string.format('%.6f', time[1] + time[2] / 1000000 + (later or 0))
end

local function field(id, name)
    return redis.call('HGET', key('run', id), name)
end

-- A run's state, nil when there is no such run: one that is running and whose lease is over is interrupted.
local function state_of(id)
    local run = redis.call('HMGET', key('run', id), 'state', 'lease_until')
    if run[1] == 'running' and tonumber(run[2]) < tonumber(now()) then
        return 'interrupted'
    end
    return run[1] or nil
end

-- Name of the key that a run belongs to, '' when it is nobody's.
local function asker_of(id)
    return field(id, 'asked_by') or ''
end

local function runs_of(asker)
    return key('runs', asker ~= '' and asker)
end

local function is_owned(id, owner)
    return field(id, 'owner') == owner
end

-- Whether the last write was the owner's with this number: it has been made already.
local function is_made(id, owner, number)
    return is_owned(id, owner) and tonumber(field(id, 'writes')) == tonumber(number)
end

-- Whether the owner has written since it sent this: it arrives late, and nobody waits for it.
local function is_late(id, owner, number)
    return is_owned(id, owner) and tonumber(field(id, 'writes')) > tonumber(number)
end

-- After every write: when it was, and where the run is found.
local function note(id)
    local run = redis.call('HMGET', key('run', id), 'parent', 'background', 'state', 'started_at')
    local time = now()
    redis.call('HSET', key('run', id), 'updated_at', time)
    if run[1] ~= '' then
        redis.call('SADD', key('children', run[1]), id)
        return
    end
    local asker = asker_of(id)
    redis.call('ZADD', runs_of(asker), run[4], id)
    if asker ~= '' then
        redis.call('SADD', key('askers'), asker)
    end
    redis.call('ZADD', key('written'), time, id)
    if run[2] == '1' and (run[3] == 'running' or run[3] == 'interrupted') then
        redis.call('ZADD', key('unfinished'), run[4], id)
    else
        redis.call('ZREM', key('unfinished'), id)
    end
end

local function line(id)
    return {redis.call('HGET', key('run', id), 'summary'), state_of(id), field(id, 'state_digest'), asker_of(id)}
end

-- A run and those that work for it.
local function family_of(id)
    local family = redis.call('SMEMBERS', key('children', id))
    table.insert(family, id)
    return family
end

local function delete(family)
    for _, id in ipairs(family) do
        local asker = asker_of(id)
        redis.call('ZREM', runs_of(asker), id)
        redis.call('ZREM', runs_of(''), id)  -- where an older release notes every run
        if redis.call('EXISTS', runs_of(asker)) == 0 then
            redis.call('SREM', key('askers'), asker)
        end
        redis.call('UNLINK', key('run', id), key('events', id), key('pages', id), key('attachments', id), key('children', id))
        redis.call('ZREM', key('written'), id)
        redis.call('ZREM', key('unfinished'), id)
    end
end
