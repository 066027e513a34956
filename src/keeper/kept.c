/* Kept sockets: a hash of sessions, each with a short list of streams. */
#include "keeper/kept.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

/* Session ids are random and control's own: any four bytes of them spread well. */
#define HASH_FUNCTION(key, len, hash) memcpy(&(hash), (key), sizeof(hash))
#include <uthash.h>

#include "model/session.h"

typedef struct stream {
    LIST_ENTRY(stream) link;
    uint64_t id;
    int fd;
} stream;

typedef struct session {
    UT_hash_handle hh;
    cpn_uuid id;
    size_t n;
    LIST_HEAD(, stream) streams;
} session;

struct cpn_kept {
    session *sessions;
    size_t n;
};

cpn_kept *
cpn_kept_new(void)
{
    return cpn_xcalloc(1, sizeof(cpn_kept));
}

static session *
find(const cpn_kept *k, const cpn_uuid *id)
{
    session *s = NULL;

    HASH_FIND(hh, k->sessions, id, sizeof(*id), s);
    return s;
}

static stream *
find_stream(const session *s, uint64_t id)
{
    stream *t;

    LIST_FOREACH (t, &s->streams, link)
        if (t->id == id)
            return t;
    return NULL;
}

/* That a stream has ended is the word of the front that carries it, which may keep a copy of the
 * socket and lie: shut, the copy is worth nothing. An honest end has sent and read everything, and
 * what still waits in the kernel goes out all the same. */
static void
drop(cpn_kept *k, session *s, stream *t)
{
    LIST_REMOVE(t, link);
    shutdown(t->fd, SHUT_RDWR);
    close(t->fd);
    free(t);
    k->n--;
    if (--s->n == 0) {
        HASH_DEL(k->sessions, s);
        free(s);
    }
}

void
cpn_kept_free(cpn_kept *k)
{
    session *s, *next;

    if (!k)
        return;
    HASH_ITER (hh, k->sessions, s, next)
        for (size_t n = s->n; n > 0; n--)
            drop(k, s, LIST_FIRST(&s->streams));
    free(k);
}

cpn_rc
cpn_kept_add(cpn_kept *k, const cpn_uuid *id, uint64_t stream_id, CPN_TAKES int fd)
{
    CPN_AUTO(cpn_auto_fd) int owned = fd;
    session *s = find(k, id);
    stream *t;

    if (s && find_stream(s, stream_id))
        return CPN_EXISTS;
    if (k->n >= CPN_KEPT_MAX || (s && s->n >= CPN_SESSION_STREAMS_MAX))
        return CPN_LIMIT;
    if (!s) {
        s = cpn_xcalloc(1, sizeof(*s));
        s->id = *id;
        LIST_INIT(&s->streams);
        HASH_ADD(hh, k->sessions, id, sizeof(s->id), s);
    }
    t = cpn_xcalloc(1, sizeof(*t));
    t->id = stream_id;
    t->fd = cpn_steal_fd(&owned);
    LIST_INSERT_HEAD(&s->streams, t, link);
    s->n++;
    k->n++;
    return CPN_OK;
}

size_t
cpn_kept_shut(cpn_kept *k, const cpn_uuid *id)
{
    static const struct linger reset = { .l_onoff = 1 };
    session *s = find(k, id);
    stream *t;

    if (!s)
        return 0;
    LIST_FOREACH (t, &s->streams, link) {
        setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        shutdown(t->fd, SHUT_RDWR);
    }
    return s->n;
}

bool
cpn_kept_release(cpn_kept *k, const cpn_uuid *id, uint64_t stream_id)
{
    session *s = find(k, id);
    stream *t = s ? find_stream(s, stream_id) : NULL;

    if (t)
        drop(k, s, t);
    return t != NULL;
}

void
cpn_kept_each(const cpn_kept *k, cpn_kept_fn *fn, void *arg)
{
    for (const session *s = k->sessions; s; s = s->hh.next) {
        const stream *t;
        LIST_FOREACH (t, &s->streams, link)
            fn(arg, &s->id, t->id);
    }
}
