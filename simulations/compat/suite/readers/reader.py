"""Reads topics with kafka-python or aiokafka: reader.py LIBRARY ADDRESS ISOLATION FETCH_BYTES SECONDS TOPIC...; see readers.go."""
import asyncio
import hashlib
import sys
import time

library, address, isolation, size, seconds = sys.argv[1:6]


def show(topic, offset, value):
    print(topic, offset, "null" if value is None else hashlib.md5(value).hexdigest(), flush=True)
    return value == b"the end"


def blocking(topic):
    from kafka import KafkaConsumer, TopicPartition
    c = KafkaConsumer(bootstrap_servers=address, isolation_level=isolation, max_partition_fetch_bytes=int(size), fetch_max_bytes=int(size),
                      enable_auto_commit=False, group_id=None)
    tp = TopicPartition(topic, 0)
    c.assign([tp])
    c.seek_to_beginning(tp)
    until = time.monotonic() + float(seconds)
    try:
        while time.monotonic() < until:
            for records in c.poll(timeout_ms=200).values():
                for r in records:
                    if show(topic, r.offset, r.value):
                        return "end"
        return "timeout"
    finally:
        c.close()


async def waiting(topic):
    from aiokafka import AIOKafkaConsumer, TopicPartition
    c = AIOKafkaConsumer(bootstrap_servers=address, isolation_level=isolation, max_partition_fetch_bytes=int(size), fetch_max_bytes=int(size),
                         enable_auto_commit=False, group_id=None)
    await c.start()
    tp = TopicPartition(topic, 0)
    c.assign([tp])
    await c.seek_to_beginning(tp)
    until = time.monotonic() + float(seconds)
    try:
        while time.monotonic() < until:
            for records in (await c.getmany(timeout_ms=200)).values():
                for r in records:
                    if show(topic, r.offset, r.value):
                        return "end"
        return "timeout"
    finally:
        await c.stop()


for name in sys.argv[6:]:
    try:
        ended = blocking(name) if library == "kafka-python" else asyncio.run(waiting(name))
    except Exception as e:  # the library's own failure is the result
        ended = "failed %r" % (e,)
    print(name, ended, flush=True)
