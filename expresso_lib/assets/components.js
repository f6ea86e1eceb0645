/* Removals and sliders: what is chosen is shown; everything was computed before. */
(function () {
  "use strict";

  function removals(root) {
    const videos = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const cases = [...root.querySelectorAll(".case")];
    const film = part => part.querySelector("video");
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

    function play(video) {
      if (video && !still) video.play().catch(() => {});
    }
    function take(part, box) {
      part.querySelectorAll("tbody tr").forEach(row => row.classList.toggle("on", row.contains(box)));
      const row = box.closest("tr"), name = row.querySelector("label").textContent.trim();
      const first = box.value === "none" ? "Nothing removed" : "Without " + name;
      part.querySelector("output b").textContent = row.querySelector("[data-ex=reads]").textContent;
      part.querySelector("output").firstChild.textContent = first + ": the model reads ";
      part.querySelector(".scale i").style.left = box.dataset.at + "%";
      const own = videos[part.dataset.case], video = film(part), source = own[box.value] || own.none;
      if (!video || !source || video.getAttribute("src") === source) return;
      // The same moment, with and without the movement, however fast one choice follows another.
      if (video.readyState) part.moment = video.currentTime;
      video.onloadedmetadata = () => {
        video.currentTime = part.moment ?? 0;
        play(video);
      };
      video.src = source;
    }
    function open(key) {
      cases.forEach(part => {
        part.classList.toggle("on", part.dataset.case === key);
        if (film(part) && part.dataset.case !== key) film(part).pause();
      });
    }
    cases.forEach(part => part.querySelectorAll("tbody input").forEach(box =>
      box.addEventListener("change", () => take(part, box))));
    // A whole row can be touched, not only its small button.
    cases.forEach(part => part.querySelectorAll("tbody tr").forEach(row =>
      row.addEventListener("click", event => {
        if (!event.target.closest("label")) row.querySelector("input").click();
      })));
    root.querySelectorAll(".pick input").forEach(box =>
      box.addEventListener("change", () => open(box.value)));
    open(cases[0].dataset.case);
  }

  function slider(root) {
    const steps = [...root.querySelectorAll(".step")], say = root.querySelector("output");
    function show(index) {
      steps.forEach((step, i) => {
        step.classList.toggle("on", i === index);
        const video = step.querySelector("video");
        if (video && i !== index) video.pause();
      });
      say.textContent = steps[index].dataset.label;
      root.querySelectorAll("input[type=range]").forEach(box =>
        box.setAttribute("aria-valuetext", steps[index].dataset.label));
    }
    root.querySelectorAll("input").forEach(box =>
      box.addEventListener("input", () => show(+box.value)));
    show(+root.dataset.start);
  }

  const kinds = {".ex-removals": removals, ".ex-slider": slider};
  for (const kind in kinds) {
    document.querySelectorAll(kind + ":not(.ready)").forEach(root => {
      root.classList.add("ready");
      kinds[kind](root);
    });
  }
})();
