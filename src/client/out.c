/* Prints results: json, table, tsv. */
#include "client/out.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/printable.h"

#define OUT_MAX ((size_t)256 << 20) /* bytes of one result */
#define COLUMNS_MAX 16
#define CELL_MAX 65536

static int
json_sink(const char *text, size_t n, void *arg)
{
    cpn_buf *out = arg;

    cpn_view rest = { (const uint8_t *)text, n };
    cpn_view head;
    bool more;

    /* jansson escapes every control byte but DEL. */
    do {
        more = cpn_view_cut(rest, 0x7f, &head, &rest);
        if (cpn_buf_append(out, head) != CPN_OK)
            return -1;
        if (more && cpn_buf_append(out, CPN_VIEW_LIT("\\u007f")) != CPN_OK)
            return -1;
    } while (more);
    return 0;
}

cpn_rc
cpn_out_json(cpn_buf *out, const json_t *value, bool indent)
{
    size_t flags = JSON_ENSURE_ASCII | JSON_ENCODE_ANY | (indent ? JSON_INDENT(2) : JSON_COMPACT);

    return json_dump_callback(value, json_sink, out, flags) == 0 ? CPN_OK : CPN_LIMIT;
}

static const json_t *
reach(const json_t *row, const char *key)
{
    const char *dot = strchr(key, '.');
    char head[64];

    if (!dot)
        return json_object_get(row, key);
    if (!cpn_view_copy((cpn_view){ (const uint8_t *)key, (size_t)(dot - key) }, head, sizeof(head)))
        return NULL;
    return reach(json_object_get(row, head), dot + 1);
}

static cpn_rc
put_value(cpn_buf *out, const json_t *v)
{
    const json_t *item;
    size_t i;
    cpn_rc rc = CPN_OK;

    if (json_is_string(v))
        return cpn_printable_put(
            out, (cpn_view){ (const uint8_t *)json_string_value(v), json_string_length(v) });
    if (json_is_integer(v))
        return cpn_buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    if (json_is_boolean(v))
        return cpn_buf_printf(out, "%s", json_is_true(v) ? "true" : "false");
    if (!json_is_array(v))
        return CPN_OK;
    json_array_foreach((json_t *)v, i, item)
    {
        if (rc == CPN_OK && i > 0)
            rc = cpn_buf_append(out, CPN_VIEW_LIT(", "));
        if (rc == CPN_OK)
            rc = put_value(out, item);
    }
    return rc;
}

cpn_rc
cpn_out_cell(cpn_buf *out, const json_t *row, const char *key)
{
    return put_value(out, reach(row, key));
}

static cpn_rc
write_out(cpn_buf *b, cpn_rc rc, cpn_err *err)
{
    if (rc != CPN_OK)
        return cpn_fail(err, CPN_E_NOMEM, "the result is too long to print");
    /* Whether it arrived is judged once, when stdout is closed at the end. */
    fwrite(b->p, 1, b->n, stdout);
    return CPN_OK;
}

static unsigned
count(const cpn_column *c)
{
    unsigned n = 0;

    while (c[n].title && n < COLUMNS_MAX)
        n++;
    return n;
}

static cpn_rc
put_padded(cpn_buf *out, cpn_view cell, size_t width, bool last)
{
    cpn_rc rc = cpn_buf_append(out, cell);
    size_t have = cpn_printable_width(cell);

    if (rc != CPN_OK)
        return rc;
    if (last)
        return cpn_buf_append(out, CPN_VIEW_LIT("\n"));
    return cpn_buf_printf(out, "%*s", (int)(width > have ? width - have : 0) + 2, "");
}

static void
widen(const json_t *row, const cpn_column *c, unsigned n, size_t *width)
{
    cpn_buf cell = { .max = CELL_MAX };

    for (unsigned i = 0; i < n; i++) {
        cpn_buf_consume(&cell, cell.n);
        if (cpn_out_cell(&cell, row, c[i].key) == CPN_OK)
            width[i] = CPN_MAX(width[i], cpn_printable_width(cpn_buf_view(&cell)));
    }
    cpn_buf_fini(&cell);
}

static cpn_rc
put_table_row(cpn_buf *out, const json_t *row, const cpn_column *c, unsigned n, const size_t *width)
{
    cpn_buf cell = { .max = CELL_MAX };
    cpn_rc rc = CPN_OK;

    for (unsigned i = 0; i < n && rc == CPN_OK; i++) {
        cpn_buf_consume(&cell, cell.n);
        rc = cpn_out_cell(&cell, row, c[i].key);
        if (rc == CPN_OK)
            rc = put_padded(out, cpn_buf_view(&cell), width[i], i + 1 == n);
    }
    cpn_buf_fini(&cell);
    return rc;
}

static cpn_rc
put_table(cpn_cli *cli, cpn_buf *out, const json_t *rows, const cpn_column *c)
{
    unsigned n = count(c);
    size_t width[COLUMNS_MAX] = { 0 };
    const json_t *row;
    size_t at;
    cpn_rc rc = CPN_OK;

    for (unsigned i = 0; i < n; i++)
        width[i] = strlen(c[i].title);
    json_array_foreach((json_t *)rows, at, row) widen(row, c, n, width);
    if (cli->colour)
        rc = cpn_buf_printf(out, "\033[1m");
    for (unsigned i = 0; i < n && rc == CPN_OK; i++)
        rc = put_padded(out, cpn_view_str(c[i].title), width[i], i + 1 == n);
    if (rc == CPN_OK && cli->colour)
        rc = cpn_buf_printf(out, "\033[0m");
    json_array_foreach((json_t *)rows, at, row)
    {
        if (rc == CPN_OK)
            rc = put_table_row(out, row, c, n, width);
    }
    return rc;
}

static cpn_rc
put_tsv_row(cpn_buf *out, const json_t *row, const cpn_column *c)
{
    unsigned n = count(c);
    cpn_rc rc = CPN_OK;

    for (unsigned i = 0; i < n && rc == CPN_OK; i++) {
        rc = cpn_out_cell(out, row, c[i].key);
        if (rc == CPN_OK)
            rc = cpn_buf_append(out, i + 1 < n ? CPN_VIEW_LIT("\t") : CPN_VIEW_LIT("\n"));
    }
    return rc;
}

cpn_rc
cpn_out_rows(cpn_cli *cli, const json_t *answer, const cpn_column *columns, cpn_err *err)
{
    const json_t *rows = json_is_array(answer) ? answer : json_object_get(answer, "value");
    cpn_buf b = { .max = OUT_MAX };
    const json_t *row;
    size_t i;
    cpn_rc rc = CPN_OK;

    if (cli->format == CPN_FORMAT_JSON) {
        rc = cpn_out_json(&b, answer, true);
        if (rc == CPN_OK)
            rc = cpn_buf_append(&b, CPN_VIEW_LIT("\n"));
    } else if (cli->format == CPN_FORMAT_TABLE) {
        rc = put_table(cli, &b, rows, columns);
    } else {
        json_array_foreach((json_t *)rows, i, row)
        {
            if (rc == CPN_OK)
                rc = put_tsv_row(&b, row, columns);
        }
    }
    rc = write_out(&b, rc, err);
    cpn_buf_fini(&b);
    return rc;
}

/* "Title    value", one line a column that has a value. */
static cpn_rc
put_lines(cpn_buf *out, const json_t *object, const cpn_column *c)
{
    unsigned n = count(c);
    size_t width = 0;
    cpn_rc rc = CPN_OK;

    for (unsigned i = 0; i < n; i++)
        width = CPN_MAX(width, strlen(c[i].title));
    for (unsigned i = 0; i < n && rc == CPN_OK; i++) {
        if (!reach(object, c[i].key) || json_is_null(reach(object, c[i].key)))
            continue;
        rc = put_padded(out, cpn_view_str(c[i].title), width, false);
        if (rc == CPN_OK)
            rc = cpn_out_cell(out, object, c[i].key);
        if (rc == CPN_OK)
            rc = cpn_buf_append(out, CPN_VIEW_LIT("\n"));
    }
    return rc;
}

cpn_rc
cpn_out_object(cpn_cli *cli, const json_t *object, const cpn_column *columns, cpn_err *err)
{
    cpn_buf b = { .max = OUT_MAX };
    cpn_rc rc;

    if (cli->format == CPN_FORMAT_JSON) {
        rc = cpn_out_json(&b, object, true);
        if (rc == CPN_OK)
            rc = cpn_buf_append(&b, CPN_VIEW_LIT("\n"));
    } else if (cli->format == CPN_FORMAT_TABLE) {
        rc = put_lines(&b, object, columns);
    } else {
        rc = put_tsv_row(&b, object, columns);
    }
    rc = write_out(&b, rc, err);
    cpn_buf_fini(&b);
    return rc;
}

cpn_rc
cpn_out_event(const json_t *event, cpn_err *err)
{
    cpn_buf b = { .max = CELL_MAX };
    cpn_rc rc = cpn_out_json(&b, event, false);

    if (rc == CPN_OK)
        rc = cpn_buf_append(&b, CPN_VIEW_LIT("\n"));
    rc = write_out(&b, rc, err);
    cpn_buf_fini(&b);
    if (rc == CPN_OK && fflush(stdout) != 0)
        return cpn_fail(err, CPN_E_SYS, "stdout: %s", strerror(errno));
    return rc;
}
