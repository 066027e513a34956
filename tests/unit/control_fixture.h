/* Speaks to a control under test as clients and keeper would. */
#ifndef CPN_TESTS_CONTROL_FIXTURE_H
#define CPN_TESTS_CONTROL_FIXTURE_H

#include "control_audit.h"

/* The key of the tokens that token_of makes; not set: none. */
static CPN_UNUSED cpn_thumb token_key;

/* Further header lines of every request, each "name: value\r\n"; NULL: none. */
static CPN_UNUSED const char *more_headers;

/* An access token of one of the world's principals; "" for none. */
static CPN_UNUSED const char *
token_of(const char *alias, char out[4096])
{
    char id[4096];
    cpn_token_facts facts = { .epoch = cpn_snapshot_epoch(st.c->snapshot), .key = token_key };
    json_t *j = json_object();
    cpn_err err = { 0 };

    out[0] = '\0';
    if (!alias) {
        json_decref(j);
        return out;
    }
    spell(id, alias);
    if (cpn_identity_issue(st.identity, cpn_snapshot_principal(st.c->snapshot, cpn_view_str(id)),
                           &facts, cpn_wall_s(), j, &err) != CPN_OK)
        fail_msg("%s", err.msg);
    snprintf(out, 4096, "%s", json_string_value(json_object_get(j, "access_token")));
    json_decref(j);
    return out;
}

/* What it answers to a request; body: NULL, or all that follows. */
static CPN_UNUSED cpn_msg
request_answered(const cpn_msg *request, const char *body)
{
    say(&st.front, request, -1);
    if (body)
        say(&st.front,
            &(cpn_msg){ .type = CPN_MSG_BODY,
                        .BODY = { .conn = st.conn, .last = 1, .body = cpn_view_str(body) } },
            -1);
    return expect(&st.front, CPN_MSG_REPLY);
}

/* One request; the status, and the answer's JSON (NULL: none) in *answer. Bodies are spelt. */
static CPN_UNUSED int
ask_with(const char *who, const char *method, const char *path, const char *query, bool form,
         const char *body, json_t **answer)
{
    static char token[4096], spelt[4096];
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    m.REQUEST.conn = ++st.conn;
    m.REQUEST.peer = (cpn_addr){ { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
    m.REQUEST.method = cpn_view_str(method);
    m.REQUEST.path = cpn_view_str(path);
    m.REQUEST.query = cpn_view_str(query ? query : "");
    m.REQUEST.bearer = cpn_view_str(token_of(who, token));
    m.REQUEST.headers = cpn_view_str(more_headers ? more_headers : "");
    m.REQUEST.last = body == NULL;
    m.REQUEST.content_type =
        cpn_view_str(form ? "application/x-www-form-urlencoded" : "application/json");
    if (body) {
        spell(spelt, body);
        m.REQUEST.length = strlen(spelt);
    }
    m = request_answered(&m, body ? spelt : NULL);
    assert_int_equal(m.REPLY.conn, st.conn);
    assert_true(m.REPLY.last);
    if (answer)
        *answer = json_loadb((const char *)m.REPLY.body.p, m.REPLY.body.n, 0, NULL);
    return m.REPLY.status;
}

static CPN_UNUSED int
ask_as(const char *who, const char *method, const char *path, const char *query, const char *body,
       json_t **answer)
{
    bool form = strncmp(path, "/api/", 5) == 0 || strncmp(path, "/adfs/", 6) == 0;

    return ask_with(who, method, path, query, form, body, answer);
}

/* A carrier of the principal; its connection. */
static CPN_UNUSED uint32_t
carrier_of(const char *who)
{
    char token[4096];
    cpn_msg m = { .type = CPN_MSG_CARRIER, .CARRIER = { .conn = ++st.conn, .peer_port = 4711 } };

    m.CARRIER.peer = (cpn_addr){ { [10] = 0xff, 0xff, 192, 0, 2, 1 } };
    m.CARRIER.bearer = cpn_view_str(token_of(who, token));
    m.CARRIER.user_agent = cpn_view_str("caponier/test");
    say(&st.front, &m, -1);
    assert_int_equal(expect(&st.front, CPN_MSG_CARRIER_OK).CARRIER_OK.conn, st.conn);
    return st.conn;
}

static CPN_UNUSED void
open_on(uint32_t conn, uint32_t stream, const char *target)
{
    char spelt[4096];

    spell(spelt, target);
    say(&st.front,
        &(cpn_msg){ .type = CPN_MSG_OPEN,
                    .OPEN = { .conn = conn, .stream = stream, .target = cpn_view_str(spelt) } },
        -1);
}

/* Keeper's yes to a dial, with a descriptor. */
static CPN_UNUSED void
dialed(const cpn_msg *dial)
{
    int fd = dup(0);

    if (fd < 0)
        fd = open("/dev/null", O_RDWR);
    say(&st.keeper,
        &(cpn_msg){ .type = CPN_MSG_DIALED,
                    .DIALED = { .session = dial->DIAL.session, .stream = dial->DIAL.stream } },
        fd);
}

#define WEB1 "{'bastion':'$front','targetResourceId':'$web1','port':22}"

/* Keeper is asked, and dials; the OPENED message. */
static CPN_UNUSED cpn_msg
opened_by_keeper(void)
{
    cpn_msg dial = expect(&st.keeper, CPN_MSG_DIAL), opened;

    dialed(&dial);
    opened = expect(&st.front, CPN_MSG_OPENED);
    if (st.front.fd >= 0)
        close(st.front.fd);
    return opened;
}

/* An open session of ada's or bob's to web1; the OPENED message. */
static CPN_UNUSED cpn_msg
open_session(uint32_t conn, uint32_t stream)
{
    open_on(conn, stream, WEB1);
    return opened_by_keeper();
}

#endif
