"""Submit, claim and finish as one statement each, for PostgreSQL: one way there and back.

A statement that stands alone is a transaction of its own. What each does is what `store` does step
by step; where it finds something out of the ordinary it does nothing, and the steps are taken.
"""

from sqlalchemy import (
    CTE,
    ClauseElement,
    ColumnElement,
    Integer,
    and_,
    bindparam,
    delete,
    func,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import insert

from towpath.queue.statements import FRESH, GIVEN, TAKEN, claimed, ended, in_line
from towpath.queue.tables import (
    BLOCK,
    FAR,
    NEAR,
    QUEUED,
    answers,
    lines,
    payloads,
    requests,
)

__all__ = ["at_once"]

_r, _l = requests.c, lines.c


def at_once() -> dict[str, ClauseElement]:
    """Return the statements by name."""
    return {"submit_at_once": _submit(), "claim_at_once": _claim(), "finish_at_once": _finish()}


def _submit() -> ClauseElement:
    """Put a request in unless the line is full or it is there; say how many wait before it."""
    waiting = (
        select(
            func.coalesce(
                func.sum(_l.waiting).filter(_l.priority <= bindparam("priority", type_=Integer)), 0
            ).label("ahead"),
            func.coalesce(func.sum(_l.waiting), 0).label("whole"),
        )
        .where(_l.app == bindparam("app"), _l.level == FAR)
        .cte("waiting")
    )
    values = [bindparam(name, type_=_r[name].type) for name in GIVEN]
    given = select(*(sql_cast(v, _r[n].type) for n, v in zip(GIVEN, values, strict=True)))
    row = given.add_columns(*(literal(v, _r[n].type) for n, v in FRESH.items()))
    row = row.select_from(waiting).where(waiting.c.whole < bindparam("most", type_=Integer))
    put = (
        insert(requests)
        .from_select([*GIVEN, *FRESH], row)
        .on_conflict_do_nothing()
        .returning(_r.number)
        .cte("put")
    )
    body = select(
        put.c.number,
        sql_cast(bindparam("headers"), payloads.c.headers.type),
        sql_cast(bindparam("body"), payloads.c.body.type),
    )
    kept = insert(payloads).from_select(["number", "headers", "body"], body).cte("kept")
    app = sql_cast(bindparam("app"), _l.app.type)
    priority = sql_cast(bindparam("priority"), _l.priority.type)
    counted = _counted(put.c.number, app, priority, 1)
    number = select(put.c.number).scalar_subquery()
    return select(number, waiting.c.ahead).select_from(waiting).add_cte(kept, counted)


def _counted(
    number: ColumnElement[int], app: ColumnElement[str], priority: ColumnElement[int], step: int
) -> CTE:
    """Count a request in or out, near before far: nobody waits in a circle."""
    levels = [
        select(app, priority, literal(level), number // size, literal(step))
        for level, size in ((NEAR, BLOCK), (FAR, BLOCK**2))
    ]
    counted = insert(lines).from_select(
        ["app", "priority", "level", "block", "waiting"], union_all(*levels)
    )
    return counted.on_conflict_do_update(
        index_elements=["app", "priority", "level", "block"],
        set_={"waiting": _l.waiting + counted.excluded.waiting},
    ).cte("counted")


def _claim() -> ClauseElement:
    """Take the first request that waits, with its payload."""
    head = (
        select(_r.number)
        .where(_r.app == bindparam("of_app"), text("state < 3"), _r.state == QUEUED, in_line())
        .order_by(_r.priority, _r.number)
        .limit(1)
        .with_for_update(skip_locked=True)
        .cte("head")
    )
    took = (
        update(requests)
        .where(_r.number == head.c.number)
        .values(**claimed())
        .returning(*(_r[name] for name in TAKEN))
        .cte("took")
    )
    less = _counted(took.c.number, took.c.app, took.c.priority, -1)
    joined = took.outerjoin(payloads, payloads.c.number == took.c.number)
    columns = (*(took.c[name] for name in TAKEN), payloads.c.headers, payloads.c.body)
    return select(*columns).select_from(joined).add_cte(less)


def _finish() -> ClauseElement:
    """End an attempt that is still ours, and keep its answer."""
    done = (
        update(requests)
        .where(
            _r.id == bindparam("of_id"), _r.attempt == bindparam("of_attempt"), text("state = 3")
        )
        .values(**ended())
        .returning(_r.number, _r.keep_io)
        .cte("done")
    )
    answer = select(
        done.c.number,
        sql_cast(bindparam("headers"), answers.c.headers.type),
        sql_cast(bindparam("body"), answers.c.body.type),
    )
    kept = (
        insert(answers)
        .from_select(["number", "headers", "body"], answer)
        .on_conflict_do_nothing()
        .cte("kept")
    )
    unkept = and_(payloads.c.number == done.c.number, done.c.keep_io.is_(False))
    dropped = delete(payloads).where(unkept).cte("dropped")
    return select(done.c.number).add_cte(kept, dropped)
