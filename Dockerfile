# The image of the Action. GitHub's runner builds it as it stands, with no argument, and runs it as root in a
# working directory of its own choice: so there is no USER and no WORKDIR here. A build behind a proxy with a
# certificate of its own passes a base that holds that certificate.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore SOURCE_DATE_EPOCH=315619200
COPY requirements/action.txt requirements/build.txt /build/requirements/
RUN python3 -m venv /build/venv \
    && /build/venv/bin/pip install --quiet --require-hashes -r /build/requirements/build.txt \
    && python3 -m venv --without-pip /opt/realdb-ci \
    && /build/venv/bin/pip --python /opt/realdb-ci/bin/python install --quiet --no-compile --require-hashes \
        -r /build/requirements/action.txt
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
COPY entrypoint.py /opt/realdb-ci/entrypoint.py
# Bytecode is checked by nobody and made here, or each start would compile again; dates are set, so that the same
# sources make the same layer.
RUN /build/venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /opt/realdb-ci/wheels /build \
    && /build/venv/bin/pip --python /opt/realdb-ci/bin/python install --quiet --no-compile --no-deps \
        /opt/realdb-ci/wheels/*.whl \
    && /opt/realdb-ci/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/realdb-ci \
    && find /opt/realdb-ci -exec touch --no-dereference --date=@${SOURCE_DATE_EPOCH} {} +

# Git without Perl, for dependencies from repositories and for versions read from tags.
FROM ${BASE} AS git
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && mkdir -p /git/usr/bin /git/usr/lib/git-core /git/usr/share/git-core \
    && cp /usr/bin/git /git/usr/bin/ \
    && cp -P /usr/lib/git-core/git-remote-http /usr/lib/git-core/git-remote-https /usr/lib/git-core/git-submodule \
        /usr/lib/git-core/git-sh-setup /usr/lib/git-core/git-sh-i18n /git/usr/lib/git-core/ \
    && ln -s ../../bin/git /git/usr/lib/git-core/git \
    && cp -r /usr/share/git-core/templates /git/usr/share/git-core/ \
    && find /git -exec touch --no-dereference --date=@315619200 {} +

FROM ${BASE}
RUN touch /var/began \
    && apt-get update \
    && apt-get install --yes --no-install-recommends libcurl3-gnutls libexpat1 libpcre2-8-0 ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
        /var/lib/dpkg/*-old /var/log/* \
    && find /etc /usr /var -xdev -newer /var/began -exec touch --no-dereference --date=@315619200 {} + \
    && rm /var/began \
    && touch --date=@315619200 /var
COPY --from=git /git/ /
COPY --from=build /opt/ /opt/
# -I: what a workflow sets for its own Python is not for ours. -u: nobody waits for a full buffer.
ENTRYPOINT ["/opt/realdb-ci/bin/python", "-I", "-u", "/opt/realdb-ci/entrypoint.py"]
