/* Requests to identity providers over libcurl, on worker threads. */
#include "net/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct job {
    uv_work_t work;
    cpn_fetcher *f;
    struct job *next;
    char url[CPN_FETCH_URL_MAX + 1];
    bool post;
    bool basic;
    cpn_secret form, user, password; /* terminated: one byte is spare */
    cpn_fetch_answer answer;
    cpn_rc rc;
    cpn_err err;
    cpn_fetch_done *done;
    void *owner;
} job;

struct cpn_fetcher {
    uv_loop_t *loop;
    char ca[256];
    bool ca_is_dir;
    unsigned running, waiting;
    job *first;
    job **last;
    bool closed; /* the last running job frees it */
};

/* ---- on the thread ---- */

static size_t
take_body(char *p, size_t size, size_t n, void *owner)
{
    cpn_fetch_answer *a = owner;

    return cpn_buf_append(&a->body, (cpn_view){ (const uint8_t *)p, size * n }) == CPN_OK ? n : 0;
}

static size_t
take_header(char *p, size_t size, size_t n, void *owner)
{
    static const char name[] = "cache-control:";
    cpn_fetch_answer *a = owner;
    cpn_view line = { (const uint8_t *)p, size * n };

    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    if (cpn_view_starts_nocase(line, name) &&
        !cpn_view_copy(cpn_view_skip(line, sizeof(name) - 1), a->cache_control,
                       sizeof(a->cache_control)))
        a->cache_control[0] = '\0';
    return size * n;
}

/* An option that libcurl does not take must not be left out silently. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (curl_easy_setopt(h, (option), (value)) != CURLE_OK)                                    \
            return false;                                                                          \
    } while (0)

static bool
set_bounds(CURL *h, job *j)
{
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CPN_FETCH_CONNECT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)CPN_FETCH_MS);
    SET(CURLOPT_MAXFILESIZE, (long)CPN_FETCH_BYTES);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, &j->answer);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, &j->answer);
    return true;
}

static bool
set_trust(CURL *h, const cpn_fetcher *f)
{
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!f->ca[0])
        return true;
    /* The other of the two is the system's by default: only what was configured counts. */
    SET(CURLOPT_CAINFO, f->ca_is_dir ? NULL : f->ca);
    SET(CURLOPT_CAPATH, f->ca_is_dir ? f->ca : NULL);
    return true;
}

static bool
set_request(CURL *h, job *j, struct curl_slist *headers)
{
    SET(CURLOPT_URL, j->url);
    SET(CURLOPT_USERAGENT, "caponier/" CPN_VERSION);
    SET(CURLOPT_HTTPHEADER, headers);
    if (j->basic) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_USERNAME, (char *)j->user.b);
        SET(CURLOPT_PASSWORD, (char *)j->password.b);
    }
    if (j->post) {
        SET(CURLOPT_POSTFIELDSIZE, (long)j->form.n);
        SET(CURLOPT_POSTFIELDS, (char *)j->form.b);
    }
    return true;
}

static void
perform(CURL *h, job *j)
{
    CURLcode code = curl_easy_perform(h);
    long status = 0;

    if (code != CURLE_OK) {
        j->rc = cpn_fail(&j->err, CPN_UNAVAILABLE, "%.200s: %s", j->url, curl_easy_strerror(code));
        return;
    }
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    j->answer.status = (int)status;
    j->rc = CPN_OK;
}

static void
work_cb(uv_work_t *w)
{
    job *j = w->data;
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    CURL *h = curl_easy_init();

    if (h && headers && set_bounds(h, j) && set_trust(h, j->f) && set_request(h, j, headers))
        perform(h, j);
    else
        j->rc = cpn_fail(&j->err, CPN_UNAVAILABLE, "libcurl lacks what a request needs");
    curl_easy_cleanup(h);
    curl_slist_free_all(headers);
    cpn_secret_wipe(&j->form);
    cpn_secret_wipe(&j->user);
    cpn_secret_wipe(&j->password);
}

/* ---- on the loop ---- */

static void start_waiting(cpn_fetcher *f);

static void
job_free(job *j)
{
    cpn_buf_fini(&j->answer.body);
    cpn_secret_wipe(&j->form);
    cpn_secret_wipe(&j->user);
    cpn_secret_wipe(&j->password);
    free(j);
}

static void
after_cb(uv_work_t *w, int status)
{
    job *j = w->data;
    cpn_fetcher *f = j->f;

    f->running--;
    if (status != 0)
        j->rc = cpn_fail(&j->err, CPN_UNAVAILABLE, "the request was given up");
    if (f->closed) {
        if (f->running == 0)
            free(f);
        job_free(j);
        return;
    }
    start_waiting(f);
    j->done(j->owner, j->rc, &j->answer, &j->err);
    job_free(j);
}

static void
start_waiting(cpn_fetcher *f)
{
    while (f->first && f->running < CPN_FETCH_RUNNING) {
        job *j = f->first;

        f->first = j->next;
        if (!f->first)
            f->last = &f->first;
        f->waiting--;
        f->running++;
        if (uv_queue_work(f->loop, &j->work, work_cb, after_cb) != 0)
            abort(); /* fails only without a callback */
    }
}

cpn_rc
cpn_fetcher_new(cpn_fetcher **out, uv_loop_t *loop, const char *ca, cpn_err *err)
{
    cpn_fetcher *f;
    struct stat st;

    *out = NULL;
    if (ca[0] && stat(ca, &st) != 0)
        return cpn_fail(err, CPN_E_CONF, "%s: no such file or directory of certificates", ca);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return cpn_fail(err, CPN_E_NOMEM, "libcurl does not start");
    f = cpn_xcalloc(1, sizeof(*f));
    f->loop = loop;
    f->last = &f->first;
    f->ca_is_dir = ca[0] && S_ISDIR(st.st_mode);
    if (!cpn_view_copy(cpn_view_str(ca), f->ca, sizeof(f->ca))) {
        free(f);
        return cpn_fail(err, CPN_E_CONF, "the path of the certificates is too long");
    }
    *out = f;
    return CPN_OK;
}

void
cpn_fetcher_free(cpn_fetcher *f)
{
    if (!f)
        return;
    for (job *j = f->first, *next; j; j = next) {
        next = j->next;
        job_free(j);
    }
    f->first = NULL;
    f->closed = true;
    if (f->running == 0)
        free(f);
}

/* Copied with a zero byte behind, which libcurl's strings need. */
static bool
copy_secret(cpn_secret *to, const cpn_secret *from)
{
    return !from ||
           (from->n < sizeof(to->b) && cpn_secret_set(to, cpn_secret_view(from)) == CPN_OK);
}

cpn_rc
cpn_fetch(cpn_fetcher *f, const cpn_fetch_ask *ask, cpn_fetch_done *done, void *owner)
{
    job *j;

    if (f->waiting >= CPN_FETCH_WAITING)
        return CPN_LIMIT;
    j = cpn_xcalloc(1, sizeof(*j));
    j->work.data = j;
    j->f = f;
    j->answer.body.max = CPN_FETCH_BYTES;
    j->done = done;
    j->owner = owner;
    j->post = ask->form != NULL;
    j->basic = ask->user && ask->password;
    if (!cpn_view_starts(cpn_view_str(ask->url), "https://") ||
        !cpn_view_copy(cpn_view_str(ask->url), j->url, sizeof(j->url)) ||
        !copy_secret(&j->form, ask->form) || !copy_secret(&j->user, ask->user) ||
        !copy_secret(&j->password, ask->password)) {
        job_free(j);
        return CPN_INVALID;
    }
    *f->last = j;
    f->last = &j->next;
    f->waiting++;
    start_waiting(f);
    return CPN_OK;
}
