/* callback: what may answer a sign-in on the loopback port, and which browser is opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/browser.h"
#include "client/callback.h"

#define STATE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HOST "Host: 127.0.0.1:4711\r\n"

static cpn_callback
at_4711(void)
{
    cpn_callback c = CPN_CALLBACK_NONE;

    c.inlet.port = 4711;
    memcpy(c.state, STATE, sizeof(STATE));
    return c;
}

static void
requests_are_refused(void **state)
{
    static const struct {
        const char *request;
        int status;
    } no[] = {
        { "GET / HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=a HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=a&state= HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=a&state=B" STATE " HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=a&state=" STATE "B HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=a&state=" STATE "&state=" STATE " HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?state=" STATE " HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=&state=" STATE " HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=a&error=b&state=" STATE " HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=%00&state=" STATE " HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /?code=a&state=" STATE " HTTP/1.1\r\nHost: evil.example:4711\r\n\r\n", 400 },
        { "GET /?code=a&state=" STATE " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400 },
        { "GET /?code=a&state=" STATE " HTTP/1.1\r\nHost: localhost:4711\r\n\r\n", 400 },
        { "GET /x?code=a&state=" STATE " HTTP/1.1\r\n" HOST "\r\n", 404 },
        { "GET /favicon.ico HTTP/1.1\r\n" HOST "\r\n", 404 },
        { "POST /?code=a&state=" STATE " HTTP/1.1\r\n" HOST "\r\n", 405 },
        { "HEAD /?code=a&state=" STATE " HTTP/1.1\r\n" HOST "\r\n", 405 },
        { "GET /?code=a&state=" STATE " HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 400 },
        { "GET /?code=a&state=" STATE " HTTP/1.1\r\n\r\n", 400 },
        { "GET /?code=a&state=" STATE " HTTP/1.0\r\n" HOST "\r\n", 505 },
        { "SSH-2.0-squatter\r\n", 400 },
    };
    cpn_callback c = at_4711();

    (void)state;
    for (size_t i = 0; i < CPN_COUNT(no); i++) {
        cpn_callback_answer got = { 0 };
        int status = 0;
        cpn_rc rc = cpn_callback_read(&c, cpn_view_str(no[i].request), &got, &status);

        if (rc != CPN_INVALID || status != no[i].status)
            fail_msg("%s: rc %d, status %d", no[i].request, (int)rc, status);
    }
}

static void
long_ones_are_refused(void **state)
{
    static char request[CPN_CALLBACK_BYTES];
    cpn_callback c = at_4711();
    cpn_callback_answer got = { 0 };
    int status = 0, n;

    (void)state;
    memset(request, 'a', sizeof(request));
    memcpy(request, "GET /?code=", 11);
    assert_int_equal(
        cpn_callback_read(&c, (cpn_view){ (uint8_t *)request, sizeof(request) - 1 }, &got, &status),
        CPN_AGAIN);
    assert_int_equal(
        cpn_callback_read(&c, (cpn_view){ (uint8_t *)request, sizeof(request) }, &got, &status),
        CPN_INVALID);
    assert_int_equal(status, 431);
    for (int extra = 0; extra < 2; extra++) {
        n = snprintf(request, sizeof(request),
                     "GET /?code=%0*d&state=" STATE " HTTP/1.1\r\n" HOST "\r\n",
                     CPN_CALLBACK_CODE + extra, 7);
        assert_int_equal(
            cpn_callback_read(&c, (cpn_view){ (uint8_t *)request, (size_t)n }, &got, &status),
            extra ? CPN_INVALID : CPN_OK);
    }
}

static void
answers_are_read(void **state)
{
    cpn_callback c = at_4711();
    cpn_callback_answer got = { 0 };
    const char *code = "GET /?code=a%2Fb+c&state=" STATE "&iss=x HTTP/1.1\r\n" HOST "\r\n";
    const char *error =
        "GET /?error=access_denied&error_description=the+person+said+no&state=" STATE
        " HTTP/1.1\r\n" HOST "\r\n";
    int status = 0;

    (void)state;
    for (size_t n = 0; n < strlen(code); n++)
        assert_int_equal(
            cpn_callback_read(&c, (cpn_view){ (const uint8_t *)code, n }, &got, &status),
            CPN_AGAIN);
    assert_int_equal(cpn_callback_read(&c, cpn_view_str(code), &got, &status), CPN_OK);
    assert_int_equal(status, 200);
    assert_true(cpn_view_is(cpn_secret_view(&got.code), "a/b c"));
    assert_string_equal(got.error, "");
    assert_int_equal(cpn_callback_read(&c, cpn_view_str(error), &got, &status), CPN_OK);
    assert_string_equal(got.error, "access_denied");
    assert_string_equal(got.said, "the person said no");
    assert_int_equal(got.code.n, 0);
}

static void
states_differ(void **state)
{
    cpn_callback a = CPN_CALLBACK_NONE, b = CPN_CALLBACK_NONE;
    cpn_err err = { 0 };

    (void)state;
    if (cpn_callback_open(&a, &err) != CPN_OK || cpn_callback_open(&b, &err) != CPN_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(strlen(a.state), 43);
    assert_string_not_equal(a.state, b.state);
    assert_int_not_equal(a.inlet.port, b.inlet.port);
    cpn_callback_close(&a);
    cpn_callback_close(&b);
    cpn_callback_close(&b);
}

static void
programs_are_found_in_absolute_folders_only(void **state)
{
    char folder[] = "/tmp/cpn-program-XXXXXX", file[64], path[256], out[CPN_PROGRAM_PATH];
    char *before = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof(file), "%s/tool", folder);
    assert_int_equal(chdir(folder), 0);
    assert_non_null(f = fopen(file, "w"));
    assert_int_equal(fclose(f), 0);
    setenv("PATH", folder, 1);
    assert_int_equal(cpn_program_find("tool", out), CPN_NOT_FOUND); /* not executable */
    assert_int_equal(chmod(file, 0700), 0);
    setenv("PATH", ".::./:", 1);
    assert_int_equal(cpn_program_find("tool", out), CPN_NOT_FOUND);
    assert_int_equal(cpn_program_find("./tool", out), CPN_NOT_FOUND);
    assert_int_equal(cpn_program_find("", out), CPN_NOT_FOUND);
    assert_int_equal(cpn_program_find(folder, out), CPN_NOT_FOUND); /* a folder */
    snprintf(path, sizeof(path), ".:/nonexistent:%s", folder);
    setenv("PATH", path, 1);
    assert_int_equal(cpn_program_find("../tool", out), CPN_NOT_FOUND);
    assert_int_equal(cpn_program_find("tool", out), CPN_OK);
    assert_string_equal(out, file);
    assert_int_equal(cpn_program_find(file, out), CPN_OK);
    if (before)
        setenv("PATH", before, 1);
    free(before);
    assert_int_equal(chdir("/"), 0);
    unlink(file);
    rmdir(folder);
}

static void
a_browser_needs_a_program_or_a_display(void **state)
{
    char out[CPN_PROGRAM_PATH];

    (void)state;
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("BROWSER");
    assert_int_equal(cpn_browser_find(out, NULL), CPN_NOT_FOUND);
    setenv("BROWSER", "no-such-thing:sh -c true:$(true):", 1);
    assert_int_equal(cpn_browser_find(out, NULL), CPN_NOT_FOUND);
    setenv("BROWSER", "no-such-thing:/bin/true", 1);
    assert_int_equal(cpn_browser_find(out, NULL), CPN_OK);
    assert_string_equal(out, "/bin/true");
    unsetenv("BROWSER");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_refused),
        cmocka_unit_test(long_ones_are_refused),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(states_differ),
        cmocka_unit_test(programs_are_found_in_absolute_folders_only),
        cmocka_unit_test(a_browser_needs_a_program_or_a_display),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
