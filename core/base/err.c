/* Names and texts of the error list, and what an errno means in it. */
#include "base/err.h"

#include <errno.h>

const char *err_name(int err)
{
	switch (err) {
	case 0:
		return "OK";
#define X(name, number, text)                                                                      \
	case ERR_##name:                                                                           \
		return "ERR_" #name;
		ERR_LIST(X)
#undef X
	default:
		return "ERR_?";
	}
}

const char *err_text(int err)
{
	switch (err) {
	case 0:
		return "no error";
#define X(name, number, text)                                                                      \
	case ERR_##name:                                                                           \
		return text;
		ERR_LIST(X)
#undef X
	default:
		return "unknown error";
	}
}

int err_from_errno(int errnum)
{
	switch (errnum) {
	case 0:
		return 0;
	case ENOMEM:
		return ERR_NOMEM;
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	case ENOSPC:
	case EDQUOT:
		return ERR_DISK_FULL;
	case EFBIG:
	case ENAMETOOLONG:
		return ERR_TOO_BIG;
	case EAGAIN:
	case EBUSY:
	case EMFILE:
	case ENFILE:
		return ERR_BUSY;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECANCELED:
		return ERR_CANCELLED;
	case EINVAL:
		return ERR_INVALID;
	case ENOSYS:
	case EOPNOTSUPP:
		return ERR_UNSUPPORTED;
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case ENOTCONN:
	case EPIPE:
		return ERR_NETWORK;
	default:
		return ERR_IO;
	}
}
