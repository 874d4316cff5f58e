# An interpreter in the guest: calls, dictionaries, floating point, sorting. Times stand at the ends of lines.
exec python3 -S -c '
import time

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def dictionary():
    d = {}
    for i in range(200000):
        d[str(i % 5000)] = d.get(str(i % 5000), 0) + i
    return len(d), sum(d.values())

def series():
    s = 0.0
    for i in range(1, 300000):
        s += 1.0 / (i * i)
    return s,

def ordered():
    l = sorted((i * 7919) % 100003 for i in range(100000))
    return l[500],

for name, job in ("fib(24)", lambda: (fib(24),)), ("dict", dictionary), ("float", series), ("sort", ordered):
    start = time.time()
    result = job()
    print(name, *result, "%.3f s" % (time.time() - start))
'
