
'use strict';
(function () {
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = id => document.getElementById(id);
  const el = (tag, props, ...inside) => { // text is only ever set as text
    const e = Object.assign(document.createElement(tag), props || {});
    e.append(...inside);
    return e;
  };

  // The graph.
  const nodes = data.objects.map((o, i) => ({ o, i, out: [], into: [], x: 0, y: 0, vx: 0, vy: 0, label: o.class + '@' + o.id, color: data.colors[o.class] || '#ccc' }));
  const byID = new Map(nodes.map(n => [n.o.id, n]));
  const edges = [];
  for (const n of nodes) for (const r of n.o.rows || []) {
    const to = r.to && byID.get(r.to);
    if (!to) continue;
    const e = { from: n, to, row: r };
    edges.push(e); n.out.push(e); to.into.push(e);
  }
  for (const n of nodes) {
    n.r = 6 + Math.min(14, 2 * Math.sqrt(n.out.length + n.into.length));
    n.text = (n.label + ' ' + (n.o.about || '') + ' ' + (n.o.rows || []).map(r => r.name + ' ' + r.text).join(' ')).toLowerCase();
  }

  // Where they begin: breadth first, children in a fan away from the parent. No
  // chance is involved, so the map looks the same each time.
  const placed = new Set();
  let islands = 0;
  for (const start of nodes) {
    if (placed.has(start)) continue;
    start.x = islands * 260; start.y = (islands % 2) * 160; start.angle = 0; start.spread = 2 * Math.PI;
    islands++;
    placed.add(start);
    for (const queue = [start]; queue.length;) {
      const n = queue.shift();
      const kids = [];
      for (const e of n.out) if (!placed.has(e.to)) { placed.add(e.to); kids.push(e.to); }
      kids.forEach((k, i) => {
        k.angle = n.angle + n.spread * ((i + 0.5) / kids.length - 0.5);
        k.spread = Math.min(2.4, Math.max(0.4, n.spread / kids.length * 1.6));
        const far = 90 + 7 * Math.sqrt(kids.length) * (1 + (i % 3) / 3);
        k.x = n.x + far * Math.cos(k.angle); k.y = n.y + far * Math.sin(k.angle);
        queue.push(k);
      });
    }
  }

  // Forces: references pull, all objects push each other away. A quadtree stands
  // for those that are far (Barnes and Hut).
  let heat = 1;
  const push = nodes.length < 150 ? 3000 : 1500; // room for labels
  function tree() {
    let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
    for (const n of nodes) { x0 = Math.min(x0, n.x); y0 = Math.min(y0, n.y); x1 = Math.max(x1, n.x); y1 = Math.max(y1, n.y); }
    const root = { x: x0, y: y0, s: Math.max(x1 - x0, y1 - y0, 1), m: 0, cx: 0, cy: 0 };
    for (const n of nodes) {
      let c = root;
      for (let depth = 0; ; depth++) {
        c.cx += n.x; c.cy += n.y; c.m++;
        if (c.m === 1) { c.n = n; break; }
        if (depth > 24) break;
        const down = q => {
          const h = c.s / 2, ix = q.x >= c.x + h ? 1 : 0, iy = q.y >= c.y + h ? 1 : 0;
          c.k = c.k || [];
          return c.k[2 * iy + ix] || (c.k[2 * iy + ix] = { x: c.x + ix * h, y: c.y + iy * h, s: h, m: 0, cx: 0, cy: 0 });
        };
        if (c.n) { const q = c.n; c.n = null; const d = down(q); d.cx += q.x; d.cy += q.y; d.m++; d.n = q; }
        c = down(n);
      }
    }
    return root;
  }
  function step() {
    const root = tree();
    for (const n of nodes) {
      const stack = [root];
      while (stack.length) {
        const c = stack.pop();
        if (!c || c.n === n) continue;
        let dx = n.x - c.cx / c.m, dy = n.y - c.cy / c.m;
        let d2 = dx * dx + dy * dy;
        if (c.k && c.s * c.s > 0.7 * d2) { stack.push(...c.k); continue; }
        if (d2 < 1) { dx = Math.cos(n.i); dy = Math.sin(n.i); d2 = 1; }
        const f = Math.min(push * c.m / d2, 300) / Math.sqrt(d2);
        n.vx += dx * f; n.vy += dy * f;
      }
      n.vx -= 0.01 * n.x; n.vy -= 0.01 * n.y;
    }
    for (const e of edges) {
      if (e.from === e.to) continue;
      const dx = e.to.x - e.from.x, dy = e.to.y - e.from.y, d = Math.hypot(dx, dy) || 1;
      const few = Math.min(e.from.out.length + e.from.into.length, e.to.out.length + e.to.into.length) || 1;
      const rest = 60 + e.from.r + e.to.r + 11 * Math.sqrt(Math.max(0, Math.max(e.from.out.length, e.to.into.length) - 4));
      const f = (d - rest) / d * 0.5 / Math.sqrt(few) * (e.row.weak ? 0.3 : 1);
      e.from.vx += dx * f; e.from.vy += dy * f; e.to.vx -= dx * f; e.to.vy -= dy * f;
    }
    for (const n of nodes) {
      const v = Math.hypot(n.vx, n.vy), most = 60 * heat, k = (v > most ? most / v : 1) * (n === held ? 0 : 1);
      n.x += n.vx * k * 0.5; n.y += n.vy * k * 0.5; n.vx *= 0.4; n.vy *= 0.4;
    }
    heat *= 0.985;
  }

  // The view.
  const canvas = $('map'), ctx = canvas.getContext('2d');
  let scale = 1, ox = 0, oy = 0, w = 0, h = 0, touched = false;
  let chosen = null, over = null, only = null, held = null, found = null, kept = null, colors = {};
  const style = () => {
    const s = getComputedStyle(document.documentElement);
    for (const c of ['back', 'text', 'dim', 'wire', 'mark', 'panel']) colors[c] = s.getPropertyValue('--' + c).trim();
  };
  function resize() {
    const r = canvas.getBoundingClientRect(), dpr = window.devicePixelRatio || 1;
    w = r.width; h = r.height;
    canvas.width = Math.round(w * dpr); canvas.height = Math.round(h * dpr);
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    draw();
  }
  function fit() {
    if (!nodes.length) return;
    let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
    for (const n of nodes) { x0 = Math.min(x0, n.x - n.r); y0 = Math.min(y0, n.y - n.r); x1 = Math.max(x1, n.x + n.r); y1 = Math.max(y1, n.y + n.r); }
    const room = $('panel').hidden ? w : Math.max(w / 2, w - 420), top = $('notes').offsetHeight;
    scale = Math.min(2, (room - 80) / (x1 - x0 + 1), (h - top - 90) / (y1 - y0 + 1));
    ox = room / 2 - scale * (x0 + x1) / 2; oy = (h + top) / 2 - scale * (y0 + y1) / 2;
  }
  function center(n) {
    ox = Math.max(w / 2, w - 420) / 2 - scale * n.x; oy = h / 2 - scale * n.y;
  }
  function moveBy(dx, dy) { ox += dx; oy += dy; touched = true; kept = null; draw(); }
  function zoom(by, x, y) {
    const s = Math.min(8, Math.max(0.02, scale * by));
    ox = x - (x - ox) * s / scale; oy = y - (y - oy) * s / scale; scale = s; touched = true; kept = null;
    draw();
  }
  const shown = n => (!only || n.o.class === only) && (!found || found.has(n));
  let due = false;
  function draw() { if (!due) { due = true; requestAnimationFrame(paint); } }
  function paint() {
    due = false;
    ctx.clearRect(0, 0, w, h);
    const focus = over || chosen, near = new Set(focus ? [focus] : []);
    if (focus) { for (const e of focus.out) near.add(e.to); for (const e of focus.into) near.add(e.from); }
    const sx = n => ox + scale * n.x, sy = n => oy + scale * n.y, size = n => Math.max(2, n.r * Math.min(1.4, Math.max(scale, 0.25)));
    const thin = Math.min(1, Math.max(0.15, 600 / edges.length)); // many wires would hide each other
    for (const hot of [false, true]) for (const e of edges) {
      if ((focus !== null && (e.from === focus || e.to === focus)) !== hot) continue;
      const x0 = sx(e.from), y0 = sy(e.from), x1 = sx(e.to), y1 = sy(e.to);
      if (Math.max(x0, x1) < 0 || Math.min(x0, x1) > w || Math.max(y0, y1) < 0 || Math.min(y0, y1) > h) continue;
      ctx.globalAlpha = hot ? 1 : (shown(e.from) && shown(e.to) ? (focus ? 0.3 : 0.65) * thin : 0.05);
      ctx.strokeStyle = ctx.fillStyle = hot ? colors.mark : colors.wire;
      ctx.lineWidth = hot ? 1.8 : 1;
      ctx.setLineDash(e.row.weak ? [5, 4] : []);
      ctx.beginPath();
      if (e.from === e.to) { const r = size(e.from); ctx.arc(x0 + r, y0 - r, r, 0.6 * Math.PI, 1.9 * Math.PI + Math.PI); ctx.stroke(); continue; }
      const d = Math.hypot(x1 - x0, y1 - y0) || 1, ux = (x1 - x0) / d, uy = (y1 - y0) / d, bow = Math.min(18, d * 0.08);
      const mx = (x0 + x1) / 2 - uy * bow, my = (y0 + y1) / 2 + ux * bow;
      let ax = x1 - mx, ay = y1 - my; const ad = Math.hypot(ax, ay) || 1; ax /= ad; ay /= ad;
      const tx = x1 - ax * (size(e.to) + 1), ty = y1 - ay * (size(e.to) + 1), a = Math.min(8, 3 + 4 * scale);
      ctx.moveTo(x0, y0); ctx.quadraticCurveTo(mx, my, tx, ty); ctx.stroke();
      ctx.setLineDash([]);
      ctx.beginPath(); ctx.moveTo(tx, ty); ctx.lineTo(tx - ax * a - ay * a * 0.45, ty - ay * a + ax * a * 0.45); ctx.lineTo(tx - ax * a + ay * a * 0.45, ty - ay * a - ax * a * 0.45); ctx.fill();
    }
    ctx.setLineDash([]);
    const inView = nodes.filter(n => { const x = sx(n), y = sy(n); return x > -60 && y > -40 && x < w + 60 && y < h + 40; });
    for (const n of inView) {
      ctx.globalAlpha = shown(n) || near.has(n) ? (focus && !near.has(n) ? 0.45 : 1) : 0.12;
      ctx.beginPath(); ctx.arc(sx(n), sy(n), size(n), 0, 2 * Math.PI);
      ctx.fillStyle = n.color; ctx.fill();
      ctx.lineWidth = n === chosen ? 3 : 1; ctx.strokeStyle = n === chosen ? colors.mark : '#0009'; ctx.stroke();
      if (n.i === 0) { ctx.beginPath(); ctx.arc(sx(n), sy(n), size(n) + 3.5, 0, 2 * Math.PI); ctx.strokeStyle = colors.text; ctx.lineWidth = 1.2; ctx.stroke(); }
    }
    // Labels: the most important first, none over another.
    ctx.font = '11.5px system-ui, "DejaVu Sans", sans-serif'; ctx.textAlign = 'center'; ctx.textBaseline = 'top'; ctx.lineJoin = 'round';
    const rank = n => (n === focus ? 1e9 : 0) + (near.has(n) ? 1e6 : 0) + (n.i === 0 ? 1e5 : 0) + n.r;
    const taken = new Map(), cell = 60;
    const free = (x, y, lw) => {
      const box = [x - lw / 2 - 3, y - 1, x + lw / 2 + 3, y + 14], keys = [];
      for (let i = Math.floor(box[0] / cell); i <= Math.floor(box[2] / cell); i++) for (let j = Math.floor(box[1] / cell); j <= Math.floor(box[3] / cell); j++) {
        const k = i + ',' + j;
        for (const b of taken.get(k) || []) if (b[0] < box[2] && b[2] > box[0] && b[1] < box[3] && b[3] > box[1]) return false;
        keys.push(k);
      }
      for (const k of keys) { if (!taken.has(k)) taken.set(k, []); taken.get(k).push(box); }
      return true;
    };
    const wanted = inView.filter(n => near.has(n) || shown(n)).sort((a, b) => rank(b) - rank(a) || a.i - b.i).slice(0, 600);
    for (const n of wanted) {
      const x = sx(n), y = sy(n) + size(n) + 3;
      if (!near.has(n) && scale < 0.35 && n.r < 14 && n.i) continue;
      const text = n.label.length > 36 ? n.label.slice(0, 17) + '…' + n.label.slice(-18) : n.label;
      if (!free(x, y, ctx.measureText(text).width)) continue;
      ctx.globalAlpha = focus && !near.has(n) ? 0.4 : 1;
      ctx.lineWidth = 3.5; ctx.strokeStyle = colors.back; ctx.strokeText(text, x, y);
      ctx.fillStyle = n === focus ? colors.mark : colors.text; ctx.fillText(text, x, y);
    }
    ctx.globalAlpha = 1;
  }
  let awake = false;
  function settle() {
    for (const end = performance.now() + 12; performance.now() < end && heat > 0.02;) step();
    if (kept) center(kept);
    else if (!touched) fit();
    draw();
    awake = heat > 0.02;
    if (awake) requestAnimationFrame(settle);
  }
  function wake(to) {
    heat = Math.max(heat, to);
    if (!awake) { awake = true; requestAnimationFrame(settle); }
  }

  // The panel.
  const link = (n, text) => {
    const b = el('button', { className: 'ref', textContent: text || n.label });
    b.onclick = () => choose(n, true);
    return b;
  };
  function choose(n, go) {
    chosen = n; over = kept = null;
    const p = $('panel');
    p.hidden = !n;
    p.replaceChildren();
    if (n) {
      const o = n.o, tint = el('span', { className: 'tint' }), close = el('button', { className: 'close', textContent: '×', title: 'Close (Esc)' });
      tint.style.background = n.color;
      close.onclick = () => choose(null);
      p.append(close, el('h2', {}, tint, n.label));
      if (o.about) p.append(el('div', { className: 'dim', textContent: o.about }));
      p.append(el('h3', { textContent: 'Fields' }));
      const dl = el('dl');
      for (const r of o.rows || []) {
        const to = r.to && byID.get(r.to), dd = el('dd', {}, to ? link(to, r.text) : r.text);
        if (r.to && !to) dd.append(el('span', { className: 'dim', textContent: ' (not on this page)' }));
        dl.append(el('dt', { textContent: r.name || '·' }), dd);
      }
      p.append(dl);
      if (o.more) p.append(el('p', { className: 'dim', textContent: 'and ' + o.more + ' more' }));
      p.append(el('h3', { textContent: 'Referred to by' }));
      if (n.into.length) {
        const ul = el('ul');
        for (const e of n.into.slice(0, 200)) ul.append(el('li', {}, link(e.from), el('span', { className: 'dim', textContent: ' ' + e.row.name + (e.row.weak ? ' (weak)' : '') })));
        if (n.into.length > 200) ul.append(el('li', { className: 'dim', textContent: 'and ' + (n.into.length - 200) + ' more' }));
        p.append(ul);
      } else p.append(el('div', { className: 'dim', textContent: 'nothing on this page' }));
      if (o.history && o.history.length) {
        p.append(el('h3', { textContent: 'History, newest first' }));
        const ol = el('ol');
        for (const t of o.history) ol.append(el('li', {}, t.time.replace('T', ' '), el('div', { className: 'dim', textContent: [t.tid, t.user, t.description].filter(Boolean).join(' · ') })));
        p.append(ol);
        if (o.older) p.append(el('div', { className: 'dim', textContent: 'Older ones: durusctl history FILE ' + o.id }));
      }
      p.scrollTop = 0;
      if (go) { scale = Math.max(scale, 0.8); kept = n; center(n); }
    }
    history.replaceState(null, '', n ? '#' + n.o.id : location.pathname + location.search);
    draw();
  }

  // Searching.
  function search() {
    const words = $('search').value.toLowerCase().split(/\s+/).filter(Boolean), hits = $('hits');
    hits.replaceChildren();
    if (!words.length) { found = null; hits.hidden = true; draw(); return; }
    const all = nodes.filter(n => words.every(word => n.text.includes(word)));
    all.sort((a, b) => (b.o.id === words[0]) - (a.o.id === words[0]));
    found = new Set(all);
    for (const n of all.slice(0, 50)) {
      const row = (n.o.rows || []).find(r => words.some(word => r.text.toLowerCase().includes(word)));
      const b = el('button', {}, n.label, el('small', { textContent: row ? '  ' + row.name + ': ' + row.text : '' }));
      b.onclick = () => { hits.hidden = true; choose(n, true); };
      hits.append(el('li', {}, b));
    }
    if (all.length !== Math.min(all.length, 50) || !all.length) hits.append(el('li', { className: 'dim', textContent: all.length ? all.length + ' objects, the first 50 are listed' : 'nothing found' }));
    hits.hidden = false;
    draw();
  }
  $('search').addEventListener('input', search);
  $('search').addEventListener('focus', () => { if ($('search').value) $('hits').hidden = false; });
  $('search').addEventListener('keydown', e => { if (e.key === 'Enter') { const b = $('hits').querySelector('button'); if (b) b.click(); } });

  // Pointer and keys.
  const at = e => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
  const under = (x, y) => {
    let best = null, least = 12;
    for (const n of nodes) {
      const d = Math.hypot(ox + scale * n.x - x, oy + scale * n.y - y) - Math.max(2, n.r * Math.min(1.4, Math.max(scale, 0.25)));
      if (d < least) { least = d; best = n; }
    }
    return least < 6 ? best : null;
  };
  const fingers = new Map();
  let moved = 0;
  canvas.addEventListener('pointerdown', e => {
    canvas.setPointerCapture(e.pointerId);
    fingers.set(e.pointerId, at(e)); moved = 0; $('hits').hidden = true;
    if (fingers.size === 1) held = under(...at(e)); else held = null;
    canvas.classList.add('grab');
  });
  canvas.addEventListener('pointermove', e => {
    const [x, y] = at(e), last = fingers.get(e.pointerId);
    if (!last) { const n = under(x, y); if (n !== over) { over = n; canvas.classList.toggle('hit', !!n); draw(); } return; }
    const dx = x - last[0], dy = y - last[1];
    moved += Math.abs(dx) + Math.abs(dy);
    if (fingers.size === 2) {
      const other = [...fingers].find(f => f[0] !== e.pointerId)[1];
      zoom(Math.hypot(x - other[0], y - other[1]) / (Math.hypot(last[0] - other[0], last[1] - other[1]) || 1), (x + other[0]) / 2, (y + other[1]) / 2);
    } else if (held && moved > 4) { held.x += dx / scale; held.y += dy / scale; wake(0.06); touched = true; }
    else if (!held) moveBy(dx, dy);
    fingers.set(e.pointerId, [x, y]);
    draw();
  });
  const release = e => {
    if (fingers.delete(e.pointerId) && e.type === 'pointerup' && moved < 5) choose(under(...at(e)));
    held = null;
    if (!fingers.size) canvas.classList.remove('grab');
  };
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('pointerleave', () => { if (over && !fingers.size) { over = null; draw(); } });
  canvas.addEventListener('wheel', e => { e.preventDefault(); zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0015)), ...at(e)); }, { passive: false });
  const all = () => { touched = false; kept = null; fit(); draw(); };
  $('in').onclick = () => zoom(1.4, w / 2, h / 2);
  $('out').onclick = () => zoom(1 / 1.4, w / 2, h / 2);
  $('fit').onclick = all;
  document.addEventListener('keydown', e => {
    if (e.key === 'Escape') { if (!$('hits').hidden) $('hits').hidden = true; else { $('search').value = ''; search(); choose(null); } return; }
    if (e.target === $('search') || e.ctrlKey || e.metaKey || e.altKey) return;
    const pan = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[e.key];
    if (e.key === '/') { e.preventDefault(); $('search').focus(); }
    else if (e.key === '+' || e.key === '=') zoom(1.4, w / 2, h / 2);
    else if (e.key === '-') zoom(1 / 1.4, w / 2, h / 2);
    else if (e.key === '0') all();
    else if (pan && e.target === canvas) moveBy(...pan);
  });

  // The rest of the page.
  $('title').textContent = data.title;
  for (const note of data.notes || []) $('notes').append(el('div', { textContent: note }));
  const count = new Map();
  for (const n of nodes) count.set(n.o.class, (count.get(n.o.class) || 0) + 1);
  for (const c of [...count.keys()].sort()) {
    const dot = el('i'), b = el('button', { title: 'Show this class only' }, dot, c + ' (' + count.get(c) + ')');
    dot.style.background = data.colors[c];
    b.setAttribute('aria-pressed', 'false');
    b.onclick = () => {
      only = only === c ? null : c;
      for (const other of $('legend').children) other.setAttribute('aria-pressed', String(other === b && only !== null));
      draw();
    };
    $('legend').append(b);
  }
  style();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { style(); draw(); });
  window.addEventListener('resize', () => { resize(); if (!touched) { fit(); draw(); } });
  for (let i = 0; i < 30 && nodes.length < 3000; i++) step();
  resize();
  fit();
  const named = byID.get(location.hash.slice(1));
  if (named) choose(named, true);
  wake(1);
})();
