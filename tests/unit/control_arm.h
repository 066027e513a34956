/* Asks a control under test for resources as Azure's clients do. */
#ifndef CPN_TESTS_CONTROL_ARM_H
#define CPN_TESTS_CONTROL_ARM_H

#include "control_fixture.h"

#define V24 "api-version=2024-01-01"
#define BASTION LAB NET "bastionHosts/"
#define SUBNET "'subnet':{'id':'$hub/subnets/AzureBastionSubnet'}"
#define CONFIGURATION "'ipConfigurations':[{'name':'bastion_ip_config','properties':{" SUBNET "}}]"
#define NEW(top, properties)                                                                       \
    "{'location':'local'," top "'properties':{" properties CONFIGURATION "}}"

static char head[4096]; /* of the last answer */

/* One request with further header lines; the status. The answer's JSON in *answer (may be NULL). */
static CPN_UNUSED int
arm(const char *who, const char *method, const char *path, const char *query, const char *headers,
    const char *body, json_t **answer)
{
    static char token[4096], text[65536], spelt[4096], spelt_path[4096], spelt_headers[4096];
    cpn_msg m = { .type = CPN_MSG_REQUEST };

    spell(spelt_path, path);
    spell(spelt, body ? body : "");
    snprintf(spelt_headers, sizeof(spelt_headers), "%s", headers ? headers : "");
    m.REQUEST.conn = ++st.conn;
    m.REQUEST.method = cpn_view_str(method);
    m.REQUEST.path = cpn_view_str(spelt_path);
    m.REQUEST.query = cpn_view_str(query ? query : V24);
    m.REQUEST.bearer = cpn_view_str(token_of(who, token));
    m.REQUEST.headers = cpn_view_str(spelt_headers);
    m.REQUEST.last = body == NULL;
    m.REQUEST.content_type = CPN_VIEW_LIT("application/json");
    m.REQUEST.length = strlen(spelt);
    m = request_answered(&m, body ? spelt : NULL);
    assert_true(m.REPLY.body.n < sizeof(text) && m.REPLY.last);
    memcpy(text, m.REPLY.body.p, m.REPLY.body.n);
    text[m.REPLY.body.n] = '\0';
    snprintf(head, sizeof(head), "\n%.*s", CPN_VIEW_ARG(m.REPLY.headers));
    if (answer)
        *answer = json_loads(text, 0, NULL);
    return m.REPLY.status;
}

static CPN_UNUSED int
arm_code(const char *who, const char *method, const char *path, const char *headers,
         const char *body, char code[64])
{
    json_t *answer = NULL;
    int status = arm(who, method, path, NULL, headers, body, &answer);

    snprintf(code, 64, "%s", cpn_json_string(json_object_get(answer, "error"), "code"));
    json_decref(answer);
    return status;
}

/* The value of a header line of the last answer, without its end. */
static CPN_UNUSED const char *
header(const char *name)
{
    static char value[2048];
    char line[64];
    const char *at;

    snprintf(line, sizeof(line), "\n%s: ", name);
    at = strcasestr(head, line);
    assert_non_null(at);
    at += strlen(line);
    snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

/* The names in a list, with a space between them; how many. */
static CPN_UNUSED unsigned
names_in(const char *who, const char *path, const char *query, char *out, size_t size)
{
    json_t *answer = NULL, *item;
    size_t i, n = 0;

    assert_int_equal(arm(who, "GET", path, query, NULL, NULL, &answer), 200);
    out[0] = '\0';
    json_array_foreach(json_object_get(answer, "value"), i, item) n +=
        (size_t)snprintf(out + n, size - n, "%s%s", i ? " " : "", cpn_json_string(item, "name"));
    assert_string_equal(cpn_json_string(answer, "nextLink"),
                        strstr(cpn_json_string(answer, "nextLink"), "https://localhost:8443/")
                            ? cpn_json_string(answer, "nextLink")
                            : "");
    i = json_array_size(json_object_get(answer, "value"));
    json_decref(answer);
    return (unsigned)i;
}

#endif
