/* See user_import_file.h. */
#include "app/user_import_file.h"

#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"

#define RECORD_ARENA (4 << 20)
#define HASH_COLUMN "passwordHash"

/* Columns that are members of the body of POST /api/v1/users. Passwords in clear are not written into files. */
static const char *const members[] = {"username", "email", "countryCode", "phone", "displayName", "role", "legacyId"};

static const char *column_named(struct slice name)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (slice_is(name, members[i]))
			return members[i];
	return slice_is(name, HASH_COLUMN) ? HASH_COLUMN : NULL;
}

const char *import_column_told(struct slice text)
{
	struct slice name, rest;

	if (slice_starts_with(text, SLICE("/")))
		return column_named(slice_of(text.ptr + 1, text.len - 1));
	return slice_cut(text, ':', &name, &rest) ? column_named(name) : NULL;
}

/* ---- looking it through -------------------------------------------------------------------------------- */

static int refuse(struct said *why, const char *en, const char *zh)
{
	*why = (struct said){en, zh};
	return ERR_INVALID;
}

static int read_columns(struct import_file *f, const struct slice *names, size_t n, struct arena *arena, struct said *why)
{
	for (size_t i = 0; i < n; i++) {
		const char *column = column_named(slice_trim(names[i]));

		if (column == NULL && slice_is(slice_trim(names[i]), "password"))
			return refuse(why, "Passwords are not written into files: leave the column out, people set theirs by a reset; "
			    "passwordHash takes Argon2id and bcrypt.", "请勿在文件中包含明文密码");
		if (column == NULL)
			return refuse(why, arena_printf(arena, "Column %zu of the first line has none of the names username, email, "
			    "countryCode, phone, displayName, role, legacyId, passwordHash.", i + 1), "表头列名不正确");
		for (size_t j = 0; j < i; j++)
			if (f->columns[j] == column)
				return refuse(why, arena_printf(arena, "The column %s is there twice.", column), "表头列名重复");
		f->columns[i] = column;
	}
	f->n_columns = n;
	return 0;
}

static int refuse_quotes(const struct import_file *f, struct arena *arena, struct said *why)
{
	return refuse(why, arena_printf(arena, "The quotes of the record at line %llu are not as CSV has them.",
	    (unsigned long long)f->reader.line), "CSV 引号格式不正确");
}

int import_file_open(struct import_file *f, struct slice text, struct arena *arena, struct said *why)
{
	struct slice fields[IMPORT_COLUMNS_MAX];
	size_t n;
	int rc;

	*f = (struct import_file){.reader = CSV_READER(text)};
	rc = csv_next(&f->reader, arena, fields, IMPORT_COLUMNS_MAX, &n);
	if (rc == ERR_MALFORMED)
		return refuse_quotes(f, arena, why);
	if (rc != 0)
		return refuse(why, "The first line names the columns: username, email, countryCode, phone, displayName, role, "
		    "legacyId, passwordHash.", "缺少表头");
	return read_columns(f, fields, n, arena, why);
}

int import_file_check(struct import_file *f, struct slice text, struct arena *arena, struct said *why)
{
	int rc = import_file_open(f, text, arena, why);

	if (rc != 0)
		return rc;
	while (rc == 0) {
		struct arena record = ARENA_INIT(RECORD_ARENA);
		struct import_row row;

		rc = import_file_next(f, &record, &row);
		arena_finish(&record);
		if (rc == 0 && f->n_rows++ == IMPORT_ROWS_MAX)
			return refuse(why, "More than 5,000 rows: send them in parts.", "超过5000行，请分批导入");
	}
	if (rc == ERR_MALFORMED)
		return refuse_quotes(f, arena, why);
	if (rc != ERR_END)
		return rc;
	return f->n_rows > 0 ? 0 : refuse(why, "There are no rows behind the first line.", "没有数据行");
}

/* ---- a row ---------------------------------------------------------------------------------------------- */

int import_file_next(struct import_file *f, struct arena *arena, struct import_row *ret)
{
	int rc = csv_next(&f->reader, arena, ret->fields, IMPORT_COLUMNS_MAX, &ret->n);

	ret->line = f->reader.line;
	if (rc != ERR_TOO_BIG)
		return rc;
	ret->n = 0;
	return 0;
}

/* Not verified here, that costs: whoever signs in with it does. */
static bool is_hash(struct slice text)
{
	bool bcrypt = text.len == 60 && (slice_starts_with(text, SLICE("$2a$")) || slice_starts_with(text, SLICE("$2b$")) ||
	                                 slice_starts_with(text, SLICE("$2y$")));

	if (!bcrypt && !slice_starts_with(text, SLICE("$argon2id$v=19$m=")))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7e)
			return false;
	return text.len < 160;
}

int import_row_body(const struct import_file *f, const struct import_row *row, struct buf *out, struct slice *ret_hash,
    struct said *why, const char **ret_field)
{
	struct json_writer w = JSON_WRITER(out);

	*ret_hash = (struct slice){0};
	*ret_field = NULL;
	if (row->n != f->n_columns)
		return refuse(why, "This row has not as many fields as the first line.", "列数与表头不符");
	json_begin_object(&w);
	for (size_t i = 0; i < row->n; i++) {
		*ret_field = f->columns[i];
		if (!utf8_valid(row->fields[i]))
			return refuse(why, "This field is not UTF-8.", "编码不是 UTF-8");
		if (row->fields[i].len == 0)
			continue;
		if (strcmp(f->columns[i], HASH_COLUMN) == 0) {
			*ret_hash = row->fields[i];
			if (!is_hash(*ret_hash))
				return refuse(why, "Neither Argon2id nor bcrypt.", "密码哈希格式不正确");
			continue;
		}
		json_name(&w, f->columns[i]);
		json_put_string(&w, row->fields[i]);
	}
	json_end_object(&w);
	*ret_field = NULL;
	return out->rc;
}
