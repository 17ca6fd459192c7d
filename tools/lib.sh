# shellcheck shell=sh
# What tools/run and tools/test share: the packages of tools/packages and the
# builds. Sourced, with the working directory at the top of the project.

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# The names in tools/packages and in the files that are named, one a line.
packages_wanted() {
	sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' tools/packages "$@"
}

# A package that another one provides (npm, by some builds of nodejs) is there too.
packages_missing() {
	provided=$(dpkg-query -W -f '${db:Status-Status} ${Provides}\n' | sed -n 's/^installed //p' |
		tr ',' '\n' | sed -e 's/(.*//' -e 's/[[:space:]]//g')
	packages_wanted "$@" | while read -r name; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
		installed) ;;
		*) printf '%s\n' "$provided" | grep -qxF "$name" || printf '%s\n' "$name" ;;
		esac
	done
}

# Installs what dpkg says is missing of tools/packages and the files that are named, and nothing when nothing is.
packages_install() {
	if ! command -v dpkg-query >/dev/null 2>&1; then
		say "This is not Debian: make sure that what tools/packages lists is installed."
		return 0
	fi
	missing=$(packages_missing "$@" | tr '\n' ' ')
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -eq 0 ]; then
		as_root=
	elif command -v sudo >/dev/null 2>&1; then
		as_root=sudo
	else
		say "These packages are missing, and only root can install them:"
		die "    apt-get install --no-install-recommends $missing"
	fi
	say "Installing: $missing"
	# A fresh container has no package lists yet; a stale list is refreshed only when it does not do.
	# shellcheck disable=SC2086  # words on purpose
	if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		$missing >/dev/null 2>&1; then
		$as_root apt-get update -qq || die "apt-get update failed; is there a network?"
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
			--no-install-recommends $missing >&2 || die "The packages could not be installed."
	fi
}

# build_dir DIR CC [MESON-OPTION...]: configures once, then builds what changed; of $BUILD_TARGETS, if set.
build_dir() {
	dir=$1 compiler=$2
	shift 2
	if [ ! -f "$dir/build.ninja" ]; then
		# For the tests' many programs LLVM's linker takes a fifth of the other's time.
		if command -v ld.lld >/dev/null 2>&1; then
			export CC_LD="${CC_LD:-lld}"
		fi
		CC=$compiler meson setup "$dir" "$@" >&2 || die "meson could not configure $dir."
	fi
	# People watch it build; a log needs only what went wrong.
	# shellcheck disable=SC2086  # words on purpose
	if [ -t 2 ]; then
		ninja -C "$dir" ${BUILD_TARGETS:-} >&2
	else
		ninja -C "$dir" --quiet ${BUILD_TARGETS:-} >&2
	fi || die "The build in $dir failed."
}

# The build that people run, and where the program is.
build_release() {
	build_dir "${LULAB_BUILD_DIR:-build}" "${CC:-gcc}" --buildtype=release
}
