/* Control's data path: OPEN, cuts, the fronts' lies. Refusals first. */
#include "control_fixture.h"

#include "codec/digest.h"
#include "control/publish.h"

static json_t *
refused_with(uint16_t *why)
{
    cpn_msg m = expect(&st.front, CPN_MSG_REFUSED);

    *why = m.REFUSED.why;
    assert_true(m.REFUSED.sentence.n > 0 && m.REFUSED.sentence.n <= 400);
    return json_loadb((const char *)m.REFUSED.answer.p, m.REFUSED.answer.n, 0, NULL);
}

static const struct {
    const char *who;
    const char *target;
    cpn_reason why;
} refused[] = {
    { "$ada", "", CPN_WHY_BAD_REQUEST },
    { "$ada", "[]", CPN_WHY_BAD_REQUEST },
    { "$ada", "{'bastion':'$front','port':22}", CPN_WHY_BAD_REQUEST },
    { "$ada", "{'bastion':'$front','targetResourceId':'$web1'}", CPN_WHY_BAD_REQUEST },
    { "$ada", "{'bastion':'$front','targetResourceId':'$web1','port':0}", CPN_WHY_BAD_REQUEST },
    { "$ada", "{'bastion':'$front','targetResourceId':'$web1','port':65536}", CPN_WHY_BAD_REQUEST },
    { "$ada", "{'bastion':'$front','targetResourceId':'$web1','port':'22'}", CPN_WHY_BAD_REQUEST },
    { "$ada",
      "{'bastion':'$front','targetResourceId':'$web1','targetIpAddress':'10.0.1.4','port':22}",
      CPN_WHY_BAD_REQUEST },
    { "$ada", "{'bastion':'$front','targetResourceId':'$web1','port':22,'x':1}",
      CPN_WHY_BAD_REQUEST },
    { "$ada", "{'bastion':'$front','targetResourceId':'$web1','port':22,'port':23}",
      CPN_WHY_BAD_REQUEST },
    { "$ada", "{'bastion':'$ghost-bastion','targetResourceId':'$web1','port':22}",
      CPN_WHY_BASTION_UNKNOWN },
    { "$ada", "{'bastion':'$front','targetResourceId':'$ghost','port':22}",
      CPN_WHY_TARGET_UNKNOWN },
    { "$ada", "{'bastion':'$front','targetResourceId':'$isl1','port':22}", CPN_WHY_NOT_PEERED },
    { "$ada", "{'bastion':'$front','targetIpAddress':'10.0.9.9','port':8022}", CPN_WHY_PORT },
    { "$ada", "{'bastion':'$front','targetIpAddress':'172.16.0.1','port':22}",
      CPN_WHY_OUTSIDE_PREFIXES },
};

static void
opens_are_refused(void **state)
{
    uint32_t conn = carrier_of("$ada");

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(refused); i++) {
        uint16_t why;
        json_t *answer;

        open_on(conn, (uint32_t)i + 1, refused[i].target);
        answer = refused_with(&why);
        if (why != refused[i].why)
            fail_msg("%s: %s", refused[i].target, cpn_reason_word((cpn_reason)why));
        assert_string_equal(cpn_json_string(answer, "code"), cpn_reason_word(refused[i].why));
        assert_true(cpn_json_string(answer, "message")[0] != '\0');
        json_decref(answer);
    }
    assert_false(came(&st.keeper, CPN_MSG_DIAL));
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 0);
}

static void
a_missing_role_is_named_and_audited_once(void **state)
{
    uint32_t conn = carrier_of("$ci");
    json_t *answer, *records;
    uint16_t why;

    (void)state;
    for (uint32_t i = 1; i <= 3; i++) {
        open_on(conn, i, WEB1);
        answer = refused_with(&why);
        assert_int_equal(why, CPN_WHY_ROLE_MISSING);
        assert_int_equal(strlen(cpn_json_string(answer, "decisionId")), 36);
        assert_true(json_array_size(json_object_get(answer, "missing")) >= 1);
        json_decref(answer);
    }
    records = audit_of("session.refused");
    assert_int_equal(json_array_size(records), 1);
    json_decref(records);
}

static void
bearers_are_refused(void **state)
{
    cpn_msg m = { .type = CPN_MSG_CARRIER, .CARRIER = { .conn = ++st.conn } };
    char token[4096];

    (void)state;
    m.CARRIER.bearer = CPN_VIEW_LIT("a.b.c");
    say(&st.front, &m, -1);
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.status, 401);
    m.CARRIER.bearer = cpn_view_str(token_of("$off", token));
    say(&st.front, &m, -1);
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_PRINCIPAL_DISABLED);
    /* Without a carrier nothing opens. */
    open_on(m.CARRIER.conn, 1, WEB1);
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_CONTROL_AWAY);
}

/* ---- the key of a token ---- */

/* A key whose bytes are all `fill`, and its thumbprint as the key of tokens to come. */
static cpn_proof_key
key_of(uint8_t fill)
{
    cpn_proof_key k = { .set = true };
    cpn_proof_say say = {
        .method = "GET", .url = "https://h/", .jti = "0123456789abcdef", .iat = 1
    };
    char text[CPN_PROOF_MAX + 1];
    cpn_proof p;

    memset(k.seed, fill, sizeof(k.seed));
    assert_int_equal(cpn_proof_make(&k, &say, text, NULL), CPN_OK);
    assert_int_equal(cpn_proof_parse(&p, cpn_view_str(text), NULL), CPN_OK);
    token_key = p.thumb;
    return k;
}

/* A carrier of ada's with a proof by k (NULL: none) for `signed_for` (NULL: no connection), over a
 * connection whose exporter is all 7. */
static void
say_carrier(const cpn_proof_key *k, const char *jti, const uint8_t *signed_for)
{
    uint8_t exporter[32], digest[CPN_SHA256_BYTES];
    char token[4096], url[512], text[CPN_PROOF_MAX + 1] = "";
    cpn_proof_say what = { .method = "GET",
                           .url = url,
                           .jti = jti,
                           .iat = cpn_wall_s(),
                           .token = digest,
                           .exporter = signed_for };
    cpn_msg m = { .type = CPN_MSG_CARRIER, .CARRIER = { .conn = ++st.conn } };

    memset(exporter, 7, sizeof(exporter));
    snprintf(url, sizeof(url), "https://%s/v1/tunnel", st.c->host);
    m.CARRIER.bearer = cpn_view_str(token_of("$ada", token));
    cpn_sha256(m.CARRIER.bearer, digest);
    if (k)
        assert_int_equal(cpn_proof_make(k, &what, text, NULL), CPN_OK);
    m.CARRIER.proof = cpn_view_str(text);
    m.CARRIER.exporter = (cpn_view){ exporter, sizeof(exporter) };
    say(&st.front, &m, -1);
}

static void
is_refused(cpn_reason why, const cpn_proof_key *k, const char *jti, const uint8_t *signed_for)
{
    cpn_msg m;

    say_carrier(k, jti, signed_for);
    m = expect(&st.front, CPN_MSG_REFUSED);
    assert_int_equal(m.REFUSED.why, why);
    assert_int_equal(m.REFUSED.status, cpn_reason_http(why));
    assert_int_equal(m.REFUSED.stream, 0);
}

static void
comes_in(bool bound, const cpn_proof_key *k, const char *jti, const uint8_t *signed_for)
{
    say_carrier(k, jti, signed_for);
    assert_int_equal(expect(&st.front, CPN_MSG_CARRIER_OK).CARRIER_OK.bound, bound);
}

static void
rule(const char *word)
{
    snprintf(st.c->set.channel_binding, sizeof(st.c->set.channel_binding), "%s", word);
}

static void
keys_decide_who_comes_in(void **state)
{
    uint8_t here[32], elsewhere[32] = { 0 };
    cpn_proof_key other = key_of(2), mine = key_of(1);

    (void)state;
    memset(here, 7, sizeof(here));
    is_refused(CPN_WHY_KEY_PROOF, NULL, "", NULL);
    is_refused(CPN_WHY_KEY_PROOF, &other, "0000000000000001", here);
    comes_in(true, &mine, "0000000000000002", here);
    is_refused(CPN_WHY_KEY_PROOF, &mine, "0000000000000002", here);
    comes_in(false, &mine, "0000000000000003", elsewhere);
    rule("require");
    open_on(st.conn, 1, WEB1); /* on the carrier that came in unbound */
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_TLS_OPENED);
    is_refused(CPN_WHY_TLS_OPENED, &mine, "0000000000000004", elsewhere);
    is_refused(CPN_WHY_TLS_OPENED, &mine, "0000000000000005", NULL);
    comes_in(true, &mine, "0000000000000006", here);
    token_key.set = false;
    is_refused(CPN_WHY_KEY_MISSING, NULL, "", NULL);
    rule("never heard of");
    is_refused(CPN_WHY_INTERNAL, NULL, "", NULL);
}

static void
a_session_has_the_mark_of_its_carrier(void **state)
{
    uint8_t here[32];
    cpn_proof_key mine = key_of(1);
    cpn_session *s;
    json_t *records;
    cpn_msg opened;

    (void)state;
    memset(here, 7, sizeof(here));
    comes_in(true, &mine, "0000000000000007", here);
    token_key.set = false;
    opened = open_session(st.conn, 1);
    s = cpn_session_find(st.c, &opened.OPENED.session);
    assert_non_null(s);
    assert_int_equal(s->binding, CPN_BINDING_EXPORTER);
    records = audit_of("session.start");
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "binding"), "exporter");
    json_decref(records);
}

static void
opened_waits_for_row_and_dial(void **state)
{
    uint32_t conn = carrier_of("$ada");
    cpn_msg dial, opened, end;
    json_t *records;
    cpn_session *s;

    (void)state;
    open_on(conn, 9, WEB1);
    dial = expect(&st.keeper, CPN_MSG_DIAL);
    assert_int_equal(dial.DIAL.port, 22);
    /* The row is durable, the dial is not there: nothing goes out. */
    assert_false(came(&st.front, CPN_MSG_OPENED));
    s = cpn_session_find(st.c, &dial.DIAL.session);
    assert_int_equal(s->row, CPN_ROW_DURABLE);
    records = audit_of("session.start");
    assert_int_equal(json_array_size(records), 1);
    json_decref(records);
    dialed(&dial);
    opened = expect(&st.front, CPN_MSG_OPENED);
    assert_true(st.front.fd >= 0);
    close(st.front.fd);
    assert_int_equal(opened.OPENED.conn, conn);
    assert_int_equal(opened.OPENED.stream, 9);
    assert_int_equal(opened.OPENED.first_bytes, 1);
    assert_true(cpn_uuid_eq(&opened.OPENED.session, &dial.DIAL.session));
    end = (cpn_msg){ .type = CPN_MSG_ENDED,
                     .ENDED = {
                         .id = opened.OPENED.id, .why = CPN_WHY_CLOSED, .up = 11, .down = 22 } };
    say(&st.front, &end, -1);
    assert_int_equal(expect(&st.keeper, CPN_MSG_RELEASE).RELEASE.stream, opened.OPENED.id);
    (void)came(&st.front, CPN_MSG_NONE);
    records = audit_of("session.end");
    assert_int_equal(json_array_size(records), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(records, 0), "bytesUp")),
                     11);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(records, 0), "bytesDown")),
                     22);
    json_decref(records);
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 0);
}

static void
a_dial_before_the_row_waits_too(void **state)
{
    uint32_t conn = carrier_of("$ada");
    cpn_msg dial;
    cpn_session *s;

    (void)state;
    open_on(conn, 1, WEB1);
    dial = expect(&st.keeper, CPN_MSG_DIAL);
    s = cpn_session_find(st.c, &dial.DIAL.session);
    dialed(&dial);
    (void)expect(&st.front, CPN_MSG_OPENED);
    close(st.front.fd);
    assert_int_equal(s->row, CPN_ROW_DURABLE);
}

static void
a_failed_dial_is_told_and_ended(void **state)
{
    uint32_t conn = carrier_of("$ada");
    cpn_msg dial, no = { .type = CPN_MSG_DIALED };
    json_t *records;

    (void)state;
    open_on(conn, 1, WEB1);
    dial = expect(&st.keeper, CPN_MSG_DIAL);
    no.DIALED = (cpn_msg_DIALED){ .session = dial.DIAL.session,
                                  .stream = dial.DIAL.stream,
                                  .why = CPN_WHY_DIAL_REFUSED,
                                  .detail = cpn_view_str("connection refused") };
    say(&st.keeper, &no, -1);
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_DIAL_REFUSED);
    (void)came(&st.front, CPN_MSG_NONE);
    records = audit_of("session.end");
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "reason"), "dial_refused");
    json_decref(records);
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 0);
}

static void
a_client_that_left_gets_nothing(void **state)
{
    uint32_t conn = carrier_of("$ada");
    cpn_msg dial;

    (void)state;
    open_on(conn, 1, WEB1);
    dial = expect(&st.keeper, CPN_MSG_DIAL);
    say(&st.front, &(cpn_msg){ .type = CPN_MSG_GONE, .GONE = { .conn = conn } }, -1);
    (void)came(&st.front, CPN_MSG_NONE);
    dialed(&dial);
    (void)expect(&st.keeper, CPN_MSG_RELEASE);
    assert_false(came(&st.front, CPN_MSG_OPENED));
    assert_false(came(&st.front, CPN_MSG_REFUSED));
    assert_int_equal(HASH_COUNT(st.c->sessions->by_id), 0);
}

static void
the_users_limit_holds(void **state)
{
    uint32_t conn = carrier_of("$bob"); /* sessionsMax 3 */
    cpn_msg last = { 0 };

    (void)state;
    for (uint32_t i = 1; i <= 3; i++)
        last = open_session(conn, i);
    open_on(conn, 4, WEB1);
    assert_int_equal(expect(&st.front, CPN_MSG_REFUSED).REFUSED.why, CPN_WHY_LIMIT_USER);
    say(&st.front,
        &(cpn_msg){ .type = CPN_MSG_ENDED,
                    .ENDED = { .id = last.OPENED.id, .why = CPN_WHY_CLOSED } },
        -1);
    (void)expect(&st.keeper, CPN_MSG_RELEASE);
    (void)open_session(conn, 5);
}

/* ---- cuts ---- */

static void
expect_shut(const cpn_uuid *session)
{
    cpn_msg m = expect(&st.keeper, CPN_MSG_SHUT);

    assert_true(cpn_uuid_eq(&m.SHUT.session, session));
}

static void
disconnect_shuts_and_cuts(void **state)
{
    cpn_msg opened = open_session(carrier_of("$bob"), 1);
    char body[128], id[CPN_UUID_TEXT];
    json_t *answer = NULL, *records;
    cpn_msg cut;

    (void)state;
    snprintf(body, sizeof(body), "{'sessionIds':['%s']}",
             cpn_uuid_text(&opened.OPENED.session, id));
    assert_int_equal(ask_as("$ci", "POST", "/v1/sessions/disconnect", NULL, body, &answer), 200);
    assert_string_equal(
        cpn_json_string(json_array_get(json_object_get(answer, "value"), 0), "state"), "NotFound");
    json_decref(answer);
    assert_false(came(&st.keeper, CPN_MSG_SHUT));

    assert_int_equal(ask_as("$ada", "POST", "/v1/sessions/disconnect", NULL, body, &answer), 200);
    assert_string_equal(
        cpn_json_string(json_array_get(json_object_get(answer, "value"), 0), "state"),
        "Disconnected");
    json_decref(answer);
    cut = expect(&st.front, CPN_MSG_CUT);
    assert_int_equal(cut.CUT.why, CPN_WHY_CUT_ADMIN);
    assert_true(cpn_uuid_eq(&cut.CUT.session, &opened.OPENED.session));
    expect_shut(&opened.OPENED.session);
    (void)came(&st.front, CPN_MSG_NONE);
    records = audit_of("session.end");
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "reason"), "cut_admin");
    assert_string_equal(cpn_json_string(json_array_get(records, 0), "by"), "ada@example.test");
    assert_non_null(json_object_get(json_array_get(records, 0), "cutMilliseconds"));
    json_decref(records);
}

static void
policy_changes_cut(void **state)
{
    cpn_msg opened = open_session(carrier_of("$bob"), 1);
    cpn_msg kept = open_session(carrier_of("$ada"), 1);

    (void)state;
    assert_int_equal(
        ask_as("$ada", "DELETE", "/v1/role-assignments",
               "id=%2Fproviders%2FMicrosoft.Authorization%2FroleAssignments%2F" GUID_OF("a2"), NULL,
               NULL),
        204);
    assert_int_equal(expect(&st.front, CPN_MSG_CUT).CUT.why, CPN_WHY_CUT_POLICY);
    expect_shut(&opened.OPENED.session);
    assert_false(came(&st.keeper, CPN_MSG_SHUT));
    assert_false(cpn_session_find(st.c, &kept.OPENED.session)->ended);
    assert_int_equal(cpn_snapshot_epoch(st.c->snapshot), WORLD_EPOCH + 1);
}

/* ---- fronts that lie or hang ---- */

static void
foreign_numbers_are_ignored(void **state)
{
    cpn_msg opened = open_session(carrier_of("$ada"), 1);
    cpn_msg_ENDED end = { .id = opened.OPENED.id, .why = CPN_WHY_CLOSED };

    (void)state;
    cpn_stream_ended(st.c, FRONT + 1, &end); /* another front's word */
    assert_false(cpn_session_find(st.c, &opened.OPENED.session)->ended);
    end.id = 12345;
    cpn_stream_ended(st.c, FRONT, &end);
    say(&st.front, &(cpn_msg){ .type = CPN_MSG_GONE, .GONE = { .conn = 99999 } }, -1);
    say(&st.front, &(cpn_msg){ .type = CPN_MSG_SPOKE, .SPOKE = { .id = 1, .protocol = 200 } }, -1);
    say(&st.front, &(cpn_msg){ .type = CPN_MSG_BODY, .BODY = { .conn = 4242, .last = 1 } }, -1);
    assert_false(came(&st.keeper, CPN_MSG_KILL_FRONT));
    assert_false(cpn_session_find(st.c, &opened.OPENED.session)->ended);
}

static void
killed(void)
{
    assert_int_equal(expect(&st.keeper, CPN_MSG_KILL_FRONT).KILL_FRONT.front, FRONT);
    assert_true(cpn_front_find(st.c, FRONT)->killed);
}

static void
a_number_in_use_kills(void **state)
{
    uint32_t conn = carrier_of("$ada");

    (void)state;
    open_on(conn, 7, WEB1);
    open_on(conn, 7, WEB1);
    killed();
}

static void
a_second_request_kills(void **state)
{
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    (void)state;
    m.REQUEST = (cpn_msg_REQUEST){ .conn = 5,
                                   .length = 10,
                                   .method = cpn_view_str("POST"),
                                   .path = cpn_view_str("/v1/enrol"),
                                   .content_type = cpn_view_str("application/json") };
    say(&st.front, &m, -1);
    say(&st.front, &m, -1);
    killed();
}

static void
too_much_body_kills(void **state)
{
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    (void)state;
    m.REQUEST = (cpn_msg_REQUEST){ .conn = 5,
                                   .length = 3,
                                   .method = cpn_view_str("POST"),
                                   .path = cpn_view_str("/v1/enrol"),
                                   .content_type = cpn_view_str("application/json") };
    say(&st.front, &m, -1);
    say(&st.front,
        &(cpn_msg){ .type = CPN_MSG_BODY, .BODY = { .conn = 5, .body = cpn_view_str("four") } },
        -1);
    killed();
}

static void
a_still_heartbeat_kills(void **state)
{
    (void)state;
    st.tally->heartbeat_ms = cpn_mono_ms();
    cpn_fronts_check(st.c, cpn_mono_ms() + CPN_TALLY_DEAD_MS - 100);
    assert_false(came(&st.keeper, CPN_MSG_KILL_FRONT));
    cpn_fronts_check(st.c, cpn_mono_ms() + CPN_TALLY_DEAD_MS + 100);
    killed();
}

#define ON_STAGE(f) cmocka_unit_test_setup_teardown(f, stage_up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(opens_are_refused),
        ON_STAGE(a_missing_role_is_named_and_audited_once),
        ON_STAGE(bearers_are_refused),
        ON_STAGE(keys_decide_who_comes_in),
        ON_STAGE(a_session_has_the_mark_of_its_carrier),
        ON_STAGE(opened_waits_for_row_and_dial),
        ON_STAGE(a_dial_before_the_row_waits_too),
        ON_STAGE(a_failed_dial_is_told_and_ended),
        ON_STAGE(a_client_that_left_gets_nothing),
        ON_STAGE(the_users_limit_holds),
        ON_STAGE(disconnect_shuts_and_cuts),
        ON_STAGE(policy_changes_cut),
        ON_STAGE(foreign_numbers_are_ignored),
        ON_STAGE(a_number_in_use_kills),
        ON_STAGE(a_second_request_kills),
        ON_STAGE(too_much_body_kills),
        ON_STAGE(a_still_heartbeat_kills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
