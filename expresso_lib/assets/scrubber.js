/* The attribution scrubber: one frame index moves the video, the regions and the traces. */
(function () {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const UP = "var(--up)", DOWN = "var(--down)", INK = "var(--ink)", LINE = "var(--line)";

  function make(tag, attributes, parent, text) {
    const node = document.createElementNS(SVG, tag);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  }
  function signed(value, digits) {
    if (value === null) return "–";
    return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
  }
  function peak(rows) {
    let most = 0;
    rows.forEach(v => { if (v !== null) most = Math.max(most, Math.abs(v)); });
    return most || 1;
  }

  function digits(rows) {
    return Math.max(2, Math.min(6, 2 - Math.floor(Math.log10(peak(rows)))));
  }

  function start(root) {
    if (root.dataset.ready) return;
    root.dataset.ready = "1";
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const pick = name => root.querySelector("[data-ex='" + name + "']");
    const video = pick("video"), slider = pick("slider"), play = pick("play"), say = pick("say");
    const method = pick("method"), baseline = pick("baseline"), timeline = pick("timeline"), film = pick("film");
    const frames = data.time.length, step = frames > 1 ? data.time[1] - data.time[0] : 1;
    let now = data.first, channel = data.channels[0], head = null, timer = null, drawn = 0, going = false;

    function options(select, values, titles) {
      select.replaceChildren();
      values.forEach(v => select.add(new Option(titles[v] || v, v)));
    }
    const known = (key, list) => [...new Set(list.map(c => c[key]))];
    options(method, known("method", data.channels), data.titles);

    function chooseMethod() {
      const before = baseline.value;
      const offered = known("baseline", data.channels.filter(c => c.method === method.value));
      options(baseline, offered, data.titles);
      if (offered.includes(before)) baseline.value = before;
      chooseChannel();
    }
    function chooseChannel() {
      channel = data.channels.find(c => c.method === method.value && c.baseline === baseline.value);
      root.querySelectorAll("[data-ex='table']").forEach(t => {
        t.hidden = t.dataset.channel !== channel.method + "/" + channel.baseline;
      });
      const key = channel.method + "/" + channel.baseline;
      const shown = key in data.videos ? key : Object.keys(data.videos)[0];
      film.textContent = video && shown !== key ? "The film shows " + shown.split("/").map(v => data.titles[v] || v).join(", ") + "." : "";
      change(data.videos[shown]);
      draw();
    }
    function change(source) {
      if (!video || !source || video.getAttribute("src") === source) return;
      // The browser stops without saying so; the same moment goes on in the other film.
      going = going || !video.paused;
      cancelAnimationFrame(timer);
      timer = null;
      play.textContent = "Play";
      video.src = source;
    }
    function traces() {
      const shown = [...root.querySelectorAll("[data-ex='au']:checked")].map(box => box.value);
      return data.aus.filter(au => shown.includes(au.code));
    }

    function draw() {
      timeline.replaceChildren();
      drawn = timeline.clientWidth;
      const width = Math.max(280, drawn), rows = traces();
      const tall = 110, low = 54, left = 4, height = tall + rows.length * low + 22;
      timeline.setAttribute("viewBox", "0 0 " + width + " " + height);
      timeline.setAttribute("height", height);
      const x = i => left + (width - 2 * left) * (frames > 1 ? i / (frames - 1) : 0);
      const most = peak(channel.attribution), middle = 18 + (tall - 24) / 2;
      make("line", {x1: left, x2: width - left, y1: middle, y2: middle, stroke: LINE}, timeline);
      const bar = Math.max(1, (width - 2 * left) / frames);
      channel.attribution.forEach((v, i) => {
        if (v === null) return;
        const size = Math.abs(v) / most * (tall - 24) / 2;
        make("rect", {x: x(i) - bar / 2, width: bar, height: size, y: v > 0 ? middle - size : middle,
                      fill: v > 0 ? UP : DOWN}, timeline);
      });
      make("text", {x: left, y: 12, "font-size": 12, fill: INK}, timeline,
           "each frame: red raises, blue lowers the score");
      rows.forEach((au, r) => {
        const base = tall + (r + 1) * low - 6, points = [];
        let pen = "M";
        au.values.forEach((v, i) => {
          if (v === null) { pen = "M"; return; }
          points.push(pen + x(i).toFixed(1) + "," + (base - v / data.au_top * (low - 26)).toFixed(1));
          pen = "L";
        });
        make("line", {x1: left, x2: width - left, y1: base, y2: base, stroke: LINE}, timeline);
        make("path", {d: points.join(""), fill: "none", stroke: "color-mix(in srgb," + au.color + " 75%,var(--ink))", "stroke-width": 1.8}, timeline);
        make("text", {x: left, y: base - low + 20, "font-size": 12, fill: INK}, timeline,
             au.code + " " + au.title + " (0 to " + data.au_top + ")");
      });
      for (let s = 0; s <= data.time[frames - 1]; s += Math.max(1, Math.round(data.time[frames - 1] / 8))) {
        const i = (s - data.time[0]) / step;
        if (i >= 0) make("text", {x: Math.min(x(i), width - 26), y: height - 5, "font-size": 11, fill: INK},
                         timeline, s + " s");
      }
      head = make("line", {y1: 14, y2: height - 18, stroke: INK, "stroke-width": 1.5}, timeline);
      timeline.exX = x;
      show();
    }

    function show() {
      slider.value = now;
      const words = data.time[now].toFixed(2) + " s, frame " + data.frame[now] + ", attribution " +
        signed(channel.attribution[now], digits(channel.attribution));
      slider.setAttribute("aria-valuetext", words);
      say.textContent = words + " points";
      if (head) { head.setAttribute("x1", timeline.exX(now)); head.setAttribute("x2", timeline.exX(now)); }
      const most = Math.max(...channel.regions.map(peak)), fine = digits([most]);
      root.querySelectorAll("[data-ex='region']").forEach((row, r) => {
        const value = channel.regions[r][now], share = value === null ? 0 : Math.abs(value) / most * 50;
        const bar = row.querySelector("i");
        bar.style.width = share + "%";
        bar.style.left = (value < 0 ? 50 - share : 50) + "%";
        bar.style.background = value < 0 ? DOWN : UP;
        row.querySelector("b").textContent = signed(value, fine);
      });
    }
    function seek(i) {
      now = Math.max(0, Math.min(frames - 1, Math.round(i)));
      if (video && video.readyState && video.paused) video.currentTime = (data.row[now] + 0.5) / data.fps;
      show();
    }
    function follow() {
      const row = video.currentTime * data.fps - 0.5;
      let best = 0;
      data.row.forEach((r, i) => { if (Math.abs(r - row) < Math.abs(data.row[best] - row)) best = i; });
      now = best;
      show();
      timer = video.paused ? null : requestAnimationFrame(follow);
    }
    function toggle() {
      if (!video) return;
      if (video.paused) { video.play(); } else { video.pause(); }
    }

    slider.max = frames - 1;
    slider.addEventListener("input", () => { if (video) video.pause(); seek(+slider.value); });
    method.addEventListener("change", chooseMethod);
    baseline.addEventListener("change", chooseChannel);
    root.querySelectorAll("[data-ex='au']").forEach(box => box.addEventListener("change", draw));
    timeline.addEventListener("pointerdown", event => {
      const box = timeline.getBoundingClientRect();
      if (video) video.pause();
      seek((event.clientX - box.left - 4) / (box.width - 8) * (frames - 1));
    });
    if (video) {
      play.addEventListener("click", toggle);
      video.addEventListener("play", () => { play.textContent = "Pause"; if (!timer) follow(); });
      video.addEventListener("pause", () => { play.textContent = "Play"; });
      video.addEventListener("loadeddata", () => {
        seek(now);
        if (going) video.play();
        going = false;
      });
    } else { play.hidden = true; }
    // The page's layout settles after this script: the text keeps its size whatever the width.
    new ResizeObserver(() => { if (timeline.clientWidth !== drawn) draw(); }).observe(timeline);
    chooseMethod();
  }
  document.querySelectorAll(".ex-scrubber").forEach(start);
})();
