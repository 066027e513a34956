/* Gives the streams of a session their shares of what it may move, and ends it when all is gone. */
#include "control/allowance.h"

#include <stdio.h>
#include <utlist.h>

#include "base/clock.h"
#include "codec/units.h"
#include "control/cut.h"

/* A share is half of what is left, for each stream, but not less than this. */
#define SHARE_MIN 262144u

typedef enum way { WAY_UP, WAY_DOWN } way;

static uint64_t
of(const cpn_byte_limits *l, way w)
{
    return w == WAY_UP ? l->up : l->down;
}

static uint64_t *
at(cpn_byte_limits *l, way w)
{
    return w == WAY_UP ? &l->up : &l->down;
}

static bool
holds(const cpn_stream *st)
{
    return st->opened && !st->tallied;
}

/* What no stream has. */
static uint64_t
left(const cpn_session *s, way w)
{
    uint64_t limit = of(&s->limits, w), used = w == WAY_UP ? s->up : s->down;
    const cpn_stream *st;

    if (limit == CPN_NO_LIMIT)
        return CPN_NO_LIMIT;
    DL_FOREACH (s->streams, st)
        if (holds(st) && __builtin_add_overflow(used, of(&st->allowed, w), &used))
            return 0;
    return used < limit ? limit - used : 0;
}

static uint64_t
share(const cpn_session *s, way w)
{
    uint64_t all = left(s, w);

    if (all == CPN_NO_LIMIT || s->door == CPN_DOOR_OWN || s->streams_n == 0)
        return all;
    return CPN_MIN(all, CPN_MAX(all / (2 * (uint64_t)s->streams_n), SHARE_MIN));
}

void
cpn_allowance_open(cpn_stream *st, cpn_msg_OPENED *m)
{
    cpn_byte_limits first = { share(st->session, WAY_UP), share(st->session, WAY_DOWN) };

    st->allowed = first;
    st->allowed_known = true;
    m->up = first.up;
    m->down = first.down;
}

/* ---- one stream ---- */

static void
say(cpn_control *c, cpn_stream *st, const cpn_byte_limits *most, bool report)
{
    cpn_msg m = { .type = CPN_MSG_ALLOW,
                  .ALLOW = { .id = st->id,
                             .serial = ++st->allow_serial,
                             .report = report,
                             .up = most->up,
                             .down = most->down } };

    (void)cpn_front_send(cpn_front_find(c, st->at.front), &m, -1);
}

/* Does it have bytes that it has not used, as far as we know? */
static bool
has_spare(cpn_control *c, const cpn_stream *st, way w)
{
    cpn_tally_slot used = cpn_stream_counted(c, st);

    if (!holds(st))
        return false;
    if (!st->allowed_known)
        return true;
    return of(&st->allowed, w) > CPN_MAX(w == WAY_UP ? used.up : used.down, of(&st->spent, w));
}

/* Call back what other streams do not use. False: nobody has anything. */
static bool
call_back(cpn_control *c, const cpn_stream *for_whom, way w)
{
    static const cpn_byte_limits none = { 0, 0 };
    cpn_stream *st;
    bool any = false;

    DL_FOREACH (for_whom->session->streams, st) {
        if (st == for_whom || !has_spare(c, st, w))
            continue;
        any = true;
        if (!st->called_back)
            say(c, st, &none, true);
        st->called_back = true;
    }
    return any;
}

/* ---- the session ---- */

/* It wants something of this way, and there is nothing that nobody has. */
static bool
is_short(const cpn_stream *st, way w)
{
    return (w == WAY_UP ? st->wants_up : st->wants_down) && share(st->session, w) == 0;
}

static void
give_more(cpn_stream *st, way w)
{
    uint64_t more = share(st->session, w), *has = at(&st->allowed, w);

    if (more == CPN_NO_LIMIT)
        *has = CPN_NO_LIMIT;
    else if (w == WAY_UP ? st->wants_up : st->wants_down)
        *has += more;
}

/* Why the session is over; NONE: it has got more, or will when others have answered. */
static cpn_reason
serve(cpn_control *c, cpn_stream *st)
{
    bool up = is_short(st, WAY_UP), down = is_short(st, WAY_DOWN);

    if (up && !call_back(c, st, WAY_UP))
        return CPN_WHY_LIMIT_UPLOAD;
    if (down && !call_back(c, st, WAY_DOWN))
        return CPN_WHY_LIMIT_DOWNLOAD;
    if (up || down)
        return CPN_WHY_NONE;
    give_more(st, WAY_UP);
    give_more(st, WAY_DOWN);
    st->wants_up = st->wants_down = false;
    say(c, st, &st->allowed, false);
    return CPN_WHY_NONE;
}

static void
settle(cpn_control *c, cpn_session *s)
{
    cpn_stream *st;

    DL_FOREACH (s->streams, st) {
        cpn_reason why = CPN_WHY_NONE;

        if (holds(st) && (st->wants_up || st->wants_down))
            why = serve(c, st);
        if (why == CPN_WHY_NONE)
            continue;
        (void)cpn_cut(c, s, why, "", cpn_mono_ms());
        return;
    }
}

void
cpn_allowance_spent(cpn_control *c, uint32_t front, const cpn_msg_SPENT *m)
{
    cpn_stream *st = cpn_stream_of(c, front, m->id);

    /* An earlier word: what was allowed since is on its way. */
    if (!st || st->session->ended || (st->allowed_known && m->serial != st->allow_serial))
        return;
    st->allow_serial = m->serial;
    st->allowed = (cpn_byte_limits){ m->up, m->down };
    st->allowed_known = true;
    if (st->called_back)
        st->spent = st->allowed;
    st->called_back = false;
    st->wants_up = m->wants_up;
    st->wants_down = m->wants_down;
    settle(c, st->session);
}

void
cpn_allowance_change(cpn_control *c, cpn_session *s, const cpn_byte_limits *limits)
{
    static const cpn_byte_limits none = { 0, 0 };
    cpn_stream *st;

    if (s->limits.up == limits->up && s->limits.down == limits->down)
        return;
    s->limits = *limits;
    DL_FOREACH (s->streams, st) {
        if (!holds(st) || st->called_back)
            continue;
        say(c, st, &none, true);
        st->called_back = true;
    }
}

const char *
cpn_session_sentence(const cpn_session *s, cpn_reason why, char out[CPN_SENTENCE_SIZE])
{
    bool up = why == CPN_WHY_LIMIT_UPLOAD;
    char size[CPN_UNITS_TEXT];

    if (!up && why != CPN_WHY_LIMIT_DOWNLOAD)
        return cpn_reason_sentence(why);
    snprintf(
        out, CPN_SENTENCE_SIZE, "this session has reached the limit of %s that your role may %s",
        cpn_units_size_text(up ? s->limits.up : s->limits.down, size), up ? "upload" : "download");
    return out;
}
